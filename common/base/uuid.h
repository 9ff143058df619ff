/* UUID version 5 (RFC 4122): the id of an action (R77). */
#ifndef ORIORI_BASE_UUID_H
#define ORIORI_BASE_UUID_H

#include "common/base/span.h"

struct uuid {
    unsigned char bytes[16];
};

enum { UUID_TEXT_SIZE = 36 };

/* The namespace of action ids: 15935922-0691-581b-98ac-4c1d9ee243c1 (R77). */
extern const struct uuid uuid_action_namespace;

struct uuid uuid_v5(const struct uuid *name_space, struct span name);

/* Writes 36 lower-case characters and a NUL. */
void uuid_text(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE + 1]);

#endif
