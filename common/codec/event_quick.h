/* The quick way to read a field's value out of JSON text: what most fields of most lines are (a short plain text, a
 * whole number, a known symbol, order lines of these) goes straight into the event. As with Avro (avro_run.c) it only
 * ever succeeds: NULL says that the general way (event_json.c) must look, from where the value begins, at what is
 * longer, stranger or wrong; so the two cannot differ in what they refuse, or in how they say it. */
#ifndef ORIORI_CODEC_EVENT_QUICK_H
#define ORIORI_CODEC_EVENT_QUICK_H

#include "common/base/arena.h"
#include "common/codec/event_names.h"

/* What is behind the value, which begins at `at`; NULL = the event is as before. The topic is the event's. Every text
 * that is read so is printable ASCII; it borrows from the line. */
const unsigned char *event_quick_value(const struct event_names *names, const struct event_field *field,
                                       const unsigned char *at, const unsigned char *end, struct arena *arena,
                                       struct event *event);

/* Of a time, ms; likewise. */
const unsigned char *event_quick_time(const unsigned char *at, const unsigned char *end, int64_t *ret_time);

#endif
