/* The schemas that this program writes and the fixed ids they have on the wire (schemas/ids.json says the same for
 * other programs; a test compares the two). An id belongs to one text of a schema for ever: a changed schema gets a new
 * id. */
#ifndef ORIORI_CODEC_SCHEMA_ID_H
#define ORIORI_CODEC_SCHEMA_ID_H

enum schema_id {
    /* inputs, in the order of enum topic */
    SCHEMA_ORDER = 101,
    SCHEMA_DELIVERY = 102,
    SCHEMA_SURVEY = 103,
    SCHEMA_EMAIL_OPEN = 104,
    SCHEMA_CUSTOMER = 105,
    /* outputs */
    SCHEMA_ACTION = 201,
    SCHEMA_TRANSITION = 202,
    SCHEMA_DECISION = 203,
    SCHEMA_DEAD_LETTER = 204,
    /* internal topics */
    SCHEMA_FORWARD = 301,
    SCHEMA_META = 302,
    SCHEMA_STEP = 303,
    SCHEMA_META_2 = 304,    /* with an activation or a sweep */
    SCHEMA_FORWARD_2 = 305, /* FORWARD_PLAYBOOK with its activation's number; FORWARD_RELEASE */
    SCHEMA_PLAYBOOK_ENTRY = 306
};

#endif
