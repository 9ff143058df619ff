/* The feeder: plays a file of events (JSON lines, in order of received_at) in simulated time. It knows nothing of what
 * carries the records; a sink does.
 *
 * Time moves by ticks, one per simulated 15 minutes. A tick's events are written, then the tick itself, then the feeder
 * waits until all of it is committed by every shard. So how fast the run is never changes what comes of it. */
#ifndef ORIORI_WORKERS_DEMO_FEEDER_H
#define ORIORI_WORKERS_DEMO_FEEDER_H

#include "common/engine/event.h"

#include <stdio.h>

struct feeder_event {
    enum topic topic;
    struct span key;           /* the customer's id, unless the line says otherwise */
    struct span line;          /* as it stands in the file */
    const struct event *event; /* the same, read */
    int64_t received_at;       /* simulated, UTC ms */
};

/* Both are false when the run cannot go on; the sink has said why. */
struct feeder_sink {
    void *context;
    bool (*event_write)(void *context, const struct feeder_event *event);
    bool (*tick)(void *context, int64_t at); /* writes the tick to every shard, waits for the slowest */
};

struct feeder_counts {
    uint64_t lines;   /* read */
    uint64_t events;  /* written */
    uint64_t refused; /* lines that are no event of a known topic */
    uint64_t ticks;
    uint64_t customers; /* distinct ids, by hash */
    int64_t now;        /* the last tick, UTC ms */
};

/* Runs the file to its end. on_tick (NULL = none) is called after each tick, for a progress line; false ends the run
 * early (a signal). False when a sink failed. */
bool feeder_run(FILE *file, const struct feeder_sink *sink, bool (*on_tick)(void *, const struct feeder_counts *),
                void *on_tick_context, struct feeder_counts *ret_counts);

#endif
