/* A batch: the records fetched together, on their way down the list. Everything in it lives in the worker's arena and
 * ends with the batch; what lasts is copied into the worker after the commit. */
#ifndef ORIORI_FLOW_BATCH_H
#define ORIORI_FLOW_BATCH_H

#include "common/flow/step_run.h"
#include "common/flow/worker.h"

struct letter { /* a dead letter to be */
    struct letter *next;
    const struct original *original;
    enum reason reason;
    const char *field;
    struct span message;
};

struct outgoing { /* an event for another shard's customer */
    struct outgoing *next;
    int32_t shard;
    struct span customer_id;
    const struct forward *forward;
};

/* A source that moved in this batch. */
struct batch_source {
    struct source *source;
    int64_t from, next;
    const struct original **records; /* in order */
    size_t record_count, record_capacity;
    struct lane lane;      /* what decode makes of them */
    size_t without_events; /* records that said nothing */
};

/* A shard with records, or with timers due. */
struct batch_shard {
    struct shard *shard;
    bool moved; /* some source of it did; else only timers */
    struct step_run run;
    struct control control;       /* after the step's control records, and with the sweep's new cursor */
    bool sweeps;                  /* a portion of a sweep is part of it, perhaps an empty last one */
    const struct span *sweep_ids; /* the worker's list's */
    size_t sweep_count;
    int64_t now; /* T */
    struct store_load load;
    struct store_apply apply;
    size_t state_count;          /* records of customers that the transaction writes to crm.state */
    struct store_entry *entries; /* decisions for the histories */
    size_t entry_count, entry_capacity;
    int64_t decision_ticket, decision_offset; /* of the last decision published */
    int64_t meta_ticket, meta_offset;
    struct span meta; /* the `__meta` record's bytes */
};

struct batch {
    int32_t wait_ms;              /* fetch may wait so long for the first record */
    bool unread;                  /* nothing is read: a shard has sent its share (pace.c) */
    struct batch_source *sources; /* at most worker->source_count */
    size_t source_count;
    struct batch_shard *shards; /* at most shard_count; those not touched in the end are dropped by load */
    size_t shard_count;
    size_t record_count, bytes;
    int64_t begun_at;  /* the transaction; monotonic ms */
    size_t timers_max; /* customers visited for timers, per shard; 0 = no timers */
    size_t sweep_max;  /* customers visited by a sweep; 0 = none */
    bool timers_only;  /* of one shard, or a sweep's portion, in a process young in timers: nothing is fetched */
    bool noted;        /* it is tried under a note in the store */
    bool isolated;     /* its one record has ended too many processes: a dead letter, and nothing else comes of it */
    bool suspected;    /* the same, but it was read each time: its customer may be to blame */
    struct letter *letters, **letters_end;
    struct outgoing *outgoing, **outgoing_end;
};

enum world flow_fetch(struct worker *worker, struct batch *batch);
enum world flow_attempt(struct worker *worker, struct batch *batch);
enum world flow_decode(struct worker *worker, struct batch *batch);
enum world flow_sweep(struct worker *worker, struct batch *batch);
enum world flow_route(struct worker *worker, struct batch *batch);
enum world flow_load(struct worker *worker, struct batch *batch);
enum world flow_suspect(struct worker *worker, struct batch *batch);
enum world flow_decide(struct worker *worker, struct batch *batch);
enum world flow_survived(struct worker *worker, struct batch *batch);
enum world flow_publish(struct worker *worker, struct batch *batch);
enum world flow_commit(struct worker *worker, struct batch *batch);
enum world flow_apply(struct worker *worker, struct batch *batch);

void batch_letter_add(struct worker *worker, struct batch *batch, const struct original *original, enum reason reason,
                      const char *field, struct span message);

/* The shard's place in the batch, made when there is none. */
struct batch_shard *batch_shard_of(struct worker *worker, struct batch *batch, int32_t shard);

/* ---- a cap of sends (pace.c) ---- */

/* Before a batch: every shard's credit grows with time. Returns for how many ms nothing may be read; 0 = go on. */
int64_t pace_turn(struct worker *worker);
bool pace_lets(const struct worker *worker, const struct shard *shard); /* its timers and its sweep may go on */
/* How many sends a shard's step may hold before it visits no more customers for timers alone. */
int64_t pace_sends_max(const struct worker *worker, const struct shard *shard);
/* After the decisions: what a step left unvisited stays due. False: its records alone send far too much; the next batch
 * will be smaller. */
bool pace_decided(struct worker *worker, const struct batch *batch, struct batch_shard *touched, size_t cut);
void pace_spend(struct worker *worker, const struct batch_shard *touched); /* after the commit */
/* ms until the shard may send again; 0 = now. */
int64_t pace_wait(const struct worker *worker, const struct shard *shard);

/* ---- a sweep's part in the steps (sweep.c) ---- */

void sweep_cut(struct batch_shard *touched); /* the step ended before some of its portion were visited */

bool sweep_waits(const struct worker *worker, const struct shard *shard); /* for its next step */
/* The portion, of at most so many customers; after the controls. */
void sweep_take(struct worker *worker, struct batch_shard *touched, size_t most);
int64_t sweep_idle(const struct worker *worker); /* ms until a sweep goes on; INT64_MAX = there is none */
void sweep_advance(struct worker *worker, const struct batch_shard *touched); /* after the commit */

/* ---- the histories of decisions (history.c) ---- */

bool history_is_erased(const struct worker *worker, struct span state); /* R31 */
/* publish: the decision just written into worker->buffer is to be kept. */
void history_keep(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit,
                  const struct record *record);
/* publish: after a visit; his history goes with an erasure (R31). */
void history_end_erased(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit);
void history_apply(const struct worker *worker, struct batch_shard *touched); /* apply: what goes along */
void history_applied(struct batch_shard *touched);                            /* it is in the store now */
/* Recovery: how far the store has come. */
enum world history_adopt(struct worker *worker, struct shard *shard, const struct store_place *place);
/* After a batch: reads on in crm.decisions for one shard whose histories are not whole. */
enum world worker_histories(struct worker *worker);
int64_t histories_idle(const struct worker *worker); /* ms until there is something to be read; INT64_MAX = nothing */

/* ---- what several steps share (loop.c) ---- */

/* Repeats a call that says WORLD_AGAIN, tries_max times at most; still AGAIN = WORLD_RECOVER. */
#define FLOW_INSIST(worker, outcome, call)                                                                             \
    do {                                                                                                               \
        int32_t tries_left = (worker)->config.tries_max;                                                               \
        do                                                                                                             \
            (outcome) = (call);                                                                                        \
        while ((outcome) == WORLD_AGAIN && --tries_left > 0);                                                          \
        if ((outcome) == WORLD_AGAIN)                                                                                  \
            (outcome) = WORLD_RECOVER;                                                                                 \
    } while (0)

__attribute__((format(printf, 3, 4))) void worker_report(struct worker *worker, enum report_level level,
                                                         const char *format, ...);
const char *source_topic_name(const struct worker *worker, int topic);
struct source *worker_source(struct worker *worker, int topic, int32_t partition); /* NULL: not ours */
bool shard_timers_due(const struct worker *worker, const struct shard *shard);
/* After a commit: how large the next batch may be (attempt.c). */
void batch_grow(struct worker *worker, const struct batch *batch);
/* Resolved, and loose or of a shard that is ready: it is among what the log was told to read. */
bool source_is_read(const struct worker *worker, const struct source *source);
/* What the shard's clock would say now: the wall, or with clock_input its latest tick. */
int64_t shard_now(const struct worker *worker, const struct shard *shard);
/* The group gave or took: sources and shards are set up anew, or gone. */
void worker_note_group(struct worker *worker, const struct log_event *event);
void shard_stop(struct worker *worker, struct shard *shard, const char *why);

/* No log reaches so far: the pos of a view that goes with a log which has lost records. Whoever takes the shard stops,
 * until people empty the view: `oriori shard rebuild`. */
#define POS_OF_A_LOST_LOG (INT64_C(1) << 53)
enum world shard_mark_lost(struct worker *worker, const struct shard *shard);

/* crm.forward is kept for ever by its topic: its events' source offsets are committed long ago. What is consumed and
 * old enough is deleted here, now and then; when that fails it is tried again later (trim.c). */
void worker_trim(struct worker *worker);

/* ---- recovery (recover.c, birth.c) ---- */

/* Recovers every waiting shard whose time has come, resolves loose sources, assigns what is ready. WORLD_DONE also when
 * some shards must wait. */
enum world worker_recover(struct worker *worker);
/* Sees to the group while something long goes on: false = give up, the assignment is no longer what it was. */
bool worker_keep_alive(struct worker *worker);
/* Where an input partition begins that was never read. */
enum world source_start(struct worker *worker, const struct source *source, int64_t *ret_offset);
/* The shard's first transaction. */
enum world shard_birth(struct worker *worker, struct shard *shard);
struct span meta_key(void); /* one byte 0x00 */
void shard_meta(const struct worker *worker, const struct shard *shard, int64_t seq, int64_t now,
                const struct control *control, struct arena *arena, struct meta *ret_meta);
/* The offset metadata of crm.forward[h]. */
struct span seq_text(struct arena *arena, int64_t seq);
bool seq_parse(struct span text, int64_t *ret_seq);

#endif
