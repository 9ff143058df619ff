/* A client of a schema registry (Confluent's API over HTTP, libcurl behind it). One thread, one call at a time.
 *
 * A call asks the address that answered last and, when that one is away, the others, each for at most registry.timeout:
 * so a call takes at most addresses * registry.timeout. What the answers mean is common/codec/registry_reply.h; user,
 * password and token are never part of a text. */
#ifndef ORIORI_IO_REGISTRY_H
#define ORIORI_IO_REGISTRY_H

#include "common/base/buffer.h"
#include "common/codec/registry_reply.h"
#include "common/io/config.h"

enum { REGISTRY_ADDRESSES_MAX = 8, REGISTRY_LATEST = REGISTRY_NEWEST };

struct registry;

/* Opens no connection yet. NULL: no registry in the config and *error stays empty, or *error says what is wrong with
 * it. The config must live on. */
struct registry *registry_open(const struct config *config, struct buffer *error);
void registry_close(struct registry *registry); /* NULL is fine */

/* Outputs are set with REGISTRY_FOUND only (buffers are appended to). A schema that takes types from other subjects
 * comes whole (common/codec/schema_link.h), which takes a question for each of those, 64 at most; REGISTRY_REFUSED: it
 * cannot be had whole. */
enum registry_answer registry_schema(struct registry *registry, uint32_t id, struct buffer *ret_avsc);
enum registry_answer registry_version(struct registry *registry, const char *subject, int32_t version,
                                      struct buffer *ret_avsc); /* version: from 1, or REGISTRY_LATEST */
/* Idempotent: the same schema under the same subject has one id. */
enum registry_answer registry_register(struct registry *registry, const char *subject, struct span avsc,
                                       uint32_t *ret_id);
/* The id of a schema that is registered; nothing is registered. */
enum registry_answer registry_lookup(struct registry *registry, const char *subject, struct span avsc,
                                     uint32_t *ret_id);
/* Would it be accepted as the subject's next version? By the rules that the registry has for the subject.
 * REGISTRY_UNKNOWN: no such subject. */
enum registry_answer registry_compatible(struct registry *registry, const char *subject, struct span avsc,
                                         bool *ret_compatible);

/* Why the last call was not REGISTRY_FOUND (or not compatible), in a sentence; "" when it was. Valid until the next. */
const char *registry_text(const struct registry *registry);
bool registry_is_away(const struct registry *registry); /* the last call said REGISTRY_AWAY */

#endif
