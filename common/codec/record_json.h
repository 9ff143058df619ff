/* Records as JSON: the keys of R85, in that order, absent = null. No newline at the end. */
#ifndef ORIORI_CODEC_RECORD_JSON_H
#define ORIORI_CODEC_RECORD_JSON_H

#include "common/base/buffer.h"
#include "common/engine/record.h"
#include "common/engine/step.h"

/* A `transition`, `action` or `decision`. */
void record_json_write(const struct record *record, struct buffer *buffer);

/* The `state` record of a customer (R84: an erased one has only that mark). */
void report_json_write(struct span customer_id, const struct customer_report *report, struct buffer *buffer);

#endif
