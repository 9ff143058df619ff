/* One line on a terminal that says how far a run is. Time is asked for only every few thousand lines. */
#ifndef ORIORI_WORKERS_SIMULATE_PROGRESS_H
#define ORIORI_WORKERS_SIMULATE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    bool on;
    bool shown;
    int64_t size; /* of the input, bytes; 0 = not known (a pipe) */
    int64_t bytes, lines;
    int64_t started_ms, shown_ms; /* monotonic */
};

void progress_start(struct progress *progress, FILE *in);                   /* in NULL: shows nothing */
void progress_line(struct progress *progress, size_t bytes, int64_t clock); /* after each line */
void progress_clear(struct progress *progress);                             /* before anything else is printed there */

#endif
