/* What a schema registry's HTTP answer says: Confluent's API, as Confluent's and Apicurio's servers speak it. Bytes in,
 * meaning out, no I/O: the client is common/io/registry.h, and a fuzzer reads here too.
 *
 * The one question that matters: is it an answer at all? Only a registry's own error code in a well-formed body says
 * that something is unknown; a bare 404 of a proxy, a login page, a 503, half a body are all "away": nobody may lose a
 * record because a load balancer was restarted. */
#ifndef ORIORI_CODEC_REGISTRY_REPLY_H
#define ORIORI_CODEC_REGISTRY_REPLY_H

#include "common/base/arena.h"
#include "common/base/span.h"

#include <stdint.h>

enum registry_request {
    REGISTRY_SCHEMA,       /* GET /schemas/ids/N */
    REGISTRY_VERSION,      /* GET /subjects/S/versions/V, POST /subjects/S */
    REGISTRY_REGISTER,     /* POST /subjects/S/versions */
    REGISTRY_COMPATIBILITY /* POST /compatibility/subjects/S/versions/V */
};

enum registry_answer {
    REGISTRY_FOUND,
    REGISTRY_UNKNOWN, /* it does not know the id, subject or version (40403, 40401, 40402) */
    REGISTRY_REFUSED, /* it knows and says no: 409 incompatible, 422 no schema; or the schema is none that we read */
    REGISTRY_AWAY     /* it said nothing to go by: try again later */
};

/* A schema that another one takes types from. */
struct registry_reference {
    struct span subject;
    int32_t version; /* from 1; REGISTRY_NEWEST = the newest there is */
};

enum { REGISTRY_NEWEST = 0 };

struct registry_reply {
    enum registry_answer answer;
    struct span schema; /* REGISTRY_SCHEMA, REGISTRY_VERSION: its JSON; in the arena or the body */
    const struct registry_reference *references; /* of that schema; reference_count of them, in the arena */
    size_t reference_count;
    uint32_t id;         /* REGISTRY_VERSION, REGISTRY_REGISTER */
    int32_t version;     /* REGISTRY_VERSION */
    bool compatible;     /* REGISTRY_COMPATIBILITY */
    struct span message; /* for people: why it is not found, or not compatible; in the arena; "" when all is well */
};

/* status: of HTTP. Sets all of *ret_reply. */
void registry_reply_read(enum registry_request request, long status, struct span body, struct arena *arena,
                         struct registry_reply *ret_reply);

#endif
