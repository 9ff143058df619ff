/* The playbooks that are in hand, by hash: the config's own, and those compiled from records of crm.playbook. A shard
 * is served by the one that its `__meta` names, a step is replayed by the one that its record names; nobody chooses. */
#ifndef ORIORI_FLOW_PLAYBOOKS_H
#define ORIORI_FLOW_PLAYBOOKS_H

#include "common/codec/internal_records.h"
#include "common/engine/step.h"
#include "common/io/world.h"

struct held_playbook;

struct playbooks {
    struct held_playbook *items; /* few: found by looking at each */
    size_t count;
};

/* The caller's own; it must outlive the list. */
void playbooks_borrow(struct playbooks *playbooks, const struct step_world *world);
/* Compiles the entry's text, unless its hash is in hand. False: it is not the text of its hash, or it does not compile
 * here; *error says why. */
bool playbooks_add(struct playbooks *playbooks, const struct playbook_entry *entry, const struct zones *zones,
                   struct buffer *error);
/* NULL: not in hand. The pointer stays good until the release. */
const struct step_world *playbooks_find(const struct playbooks *playbooks, const unsigned char hash[32]);
void playbooks_release(struct playbooks *playbooks);

/* The first six bytes in hex: how people are told of a hash. */
enum { PLAYBOOK_SHORT_SIZE = 13 };
const char *playbook_short(const unsigned char hash[32], char text[PLAYBOOK_SHORT_SIZE]);

/* ---- the worker's (crm.playbook through its log) ---- */

struct worker;

/* The playbook of that hash: in hand, or read from crm.playbook. WORLD_AGAIN: it is not there yet, or does not compile
 * here; why is a sentence. */
enum world worker_playbook(struct worker *worker, const unsigned char hash[32], char *why, size_t why_size,
                           const struct step_world **ret_world);
/* The text of a playbook that a shard of ours is served by, for people. Borrowed from the worker. */
struct span worker_playbook_text(const struct worker *worker, const struct step_world *world);
/* Sees to it that the config's own text lies in crm.playbook before a shard is served by it: the next owner may have
 * another file. Reads the topic once per process; writes only what is not there. */
enum world worker_playbook_keep(struct worker *worker);

#endif
