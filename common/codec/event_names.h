/* Every name that a line of JSON may have, as tables (name_table.h): its members, the events' fields, the enums'
 * values. Made once, from event_field.h and event.h, and never changed. */
#ifndef ORIORI_CODEC_EVENT_NAMES_H
#define ORIORI_CODEC_EVENT_NAMES_H

#include "common/codec/event_field.h"
#include "common/codec/name_table.h"

enum { EVENT_FIELDS_MAX = 64 }; /* each has a bit in what a reader has seen */

enum line_member { LINE_TOPIC, LINE_EVENT, LINE_RECEIVED_AT, LINE_MEMBER_COUNT };

struct event_names {
    struct name_table line;                /* enum line_member */
    struct name_table topics;              /* as topic_find reads them */
    struct name_table fields[TOPIC_COUNT]; /* index in field_list */
    struct name_table kinds[TOPIC_COUNT];
    struct name_table purposes;
    struct name_table concerns;
    struct name_table channels;
    struct name_table agents;
    const struct event_field *field_list; /* event_fields */
    struct event blank[TOPIC_COUNT];      /* event_fields_blank */
};

const struct event_names *event_names(void);

struct span line_member_name(enum line_member member); /* a literal: it ends in NUL */

#endif
