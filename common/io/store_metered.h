/* A store that counts and times the calls of the store behind it: what /metrics shows of Redis. Each call is one round
 * trip of its own (store.h). It changes nothing. */
#ifndef ORIORI_IO_STORE_METERED_H
#define ORIORI_IO_STORE_METERED_H

#include "common/base/buffer.h"
#include "common/io/store.h"

/* Puts itself before *store, which it owns from then on: store_close closes both. */
void store_metered_open(struct store *store);

/* Appends the figures; the store must be one of store_metered_open. */
void store_metered_write(const struct store *store, struct buffer *text);

#endif
