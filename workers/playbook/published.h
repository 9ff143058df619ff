/* What crm.playbook holds, whole: the texts, and the activations in their order. */
#ifndef ORIORI_WORKERS_PLAYBOOK_PUBLISHED_H
#define ORIORI_WORKERS_PLAYBOOK_PUBLISHED_H

#include "common/codec/internal_records.h"
#include "common/io/config.h"

struct published {
    struct arena arena; /* of the entries' bytes */
    struct playbook_entry *texts, *activations;
    size_t text_count, activation_count;
};

/* All that was committed before the call: what lies behind an open transaction is waited for, as long as the brokers
 * let one stay open. False, and said on standard error: it cannot be read. Release in any case. */
bool published_read(struct config *config, struct published *ret_published);
void published_release(struct published *published);

const struct playbook_entry *published_text(const struct published *published,
                                            const unsigned char hash[32]); /* or NULL */
/* The one text whose hash begins so in hex; NULL: none, or several (*ret_count tells). */
const struct playbook_entry *published_find(const struct published *published, const char *prefix, size_t *ret_count);
const struct playbook_entry *published_last(const struct published *published); /* activation; NULL = none yet */
/* The last activation of that playbook; NULL = none. */
const struct playbook_entry *published_last_of(const struct published *published, const unsigned char hash[32]);

#endif
