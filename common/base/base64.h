/* Base64 (RFC 4648, with padding): bytes inside JSON lines. */
#ifndef ORIORI_BASE_BASE64_H
#define ORIORI_BASE_BASE64_H

#include "common/base/arena.h"
#include "common/base/buffer.h"

void base64_add(struct buffer *buffer, struct span bytes);

/* False: no such text. The bytes are in the arena. */
bool base64_read(struct span text, struct arena *arena, struct span *ret_bytes);

#endif
