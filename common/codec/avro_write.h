/* What this program writes as Avro: wire header and datum of the schemas in schemas/, appended to a buffer. */
#ifndef ORIORI_CODEC_AVRO_WRITE_H
#define ORIORI_CODEC_AVRO_WRITE_H

#include "common/base/buffer.h"
#include "common/codec/json.h"
#include "common/engine/event.h"
#include "common/engine/record.h"

/* What an event says that the engine does not read, so that struct event has no place for it. */
struct event_unread {
    struct span comment;        /* of a survey; "" = absent */
    struct span note;           /* of a customer record */
    const struct json *answers; /* of a survey: an object, or NULL */
};

/* From the event's JSON (R34), which event_json.h has taken. */
struct event_unread event_unread_of(const struct json *event);

/* An input event (not EVENT_CREDIT) as `oriori produce` sends it, with the fixed schema id; unread NULL: all of that is
 * absent. An answer that is no text is written as its JSON. */
void event_avro_write(const struct event *event, const struct event_unread *unread, struct buffer *buffer);

/* A transition, action or decision, for the topic of its type. */
void record_avro_write(const struct record *record, struct buffer *buffer);

/* The seq of a decision as written above, by whichever schema of ours: its first three fields stay where they are.
 * False: it is none. */
bool decision_avro_seq(struct span value, int64_t *ret_seq);

#endif
