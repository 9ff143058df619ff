/* Prometheus's text format (version 0.0.4): one head per metric, then its samples. Every name gets the prefix oriori_,
 * but for those that all programs share.
 * Labels are passed as text already, `topic="orders"`; a value from outside goes through exposition_label. */
#ifndef ORIORI_BASE_EXPOSITION_H
#define ORIORI_BASE_EXPOSITION_H

#include "common/base/buffer.h"
#include "common/base/histogram.h"

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

void exposition_head(struct buffer *text, enum exposition_type type, const char *name, const char *help);
/* labels "" = none. */
void exposition_sample(struct buffer *text, const char *name, const char *labels, double value);
/* Head and one sample without labels. */
void exposition_plain(struct buffer *text, enum exposition_type type, const char *name, const char *help, double value);
/* The same under a name that is whole already: process_open_fds. */
void exposition_shared(struct buffer *text, enum exposition_type type, const char *name, const char *help,
                       double value);
/* The cumulative buckets, the sum and the count of one histogram, under a head of the caller's. */
void exposition_buckets(struct buffer *text, const char *name, const char *labels, const struct histogram *histogram);
/* Appends name="value" with the value escaped; for labels of the caller's. */
void exposition_label(struct buffer *labels, const char *name, struct span value);

#endif
