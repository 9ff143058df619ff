/* What this program writes as Avro: wire header and datum of the schemas in schemas/, appended to a buffer. */
#ifndef ORIORI_CODEC_AVRO_WRITE_H
#define ORIORI_CODEC_AVRO_WRITE_H

#include "common/base/buffer.h"
#include "common/engine/event.h"
#include "common/engine/record.h"

/* An input event (not EVENT_CREDIT) as `oriori produce` sends it. Of a survey the comment and the answers, of a
 * customer record the note are not in struct event: they are written as absent. */
void event_avro_write(const struct event *event, struct buffer *buffer);

/* A transition, action or decision, for the topic of its type. */
void record_avro_write(const struct record *record, struct buffer *buffer);

#endif
