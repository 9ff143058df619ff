/* What the rules decided about one customer, of late: from his history in Redis, or from crm.decisions. */
#ifndef ORIORI_CUSTOMER_DECISIONS_H
#define ORIORI_CUSTOMER_DECISIONS_H

#include "workers/lifecycle/setup.h"

enum { DECISIONS_SHOWN_MAX = 1000 };

/* The newest so many decisions, each as its JSON record, oldest first. Life-cycle: zero and set id and most, read,
 * release. */
struct decisions {
    struct span id;
    size_t most;          /* 1 to DECISIONS_SHOWN_MAX */
    struct buffer *lines; /* a ring of `most`; the n-th read lies at n % most */
    size_t count;         /* read in all */
    bool kept;            /* from his history: there may have been more */
};

/* From his history in Redis, setup_schemas first. *ret_enough: these are the newest `most`, or all there are; else the
 * topic may know more. False when something is wrong and has been said. */
bool decisions_read_history(struct setup *setup, struct decisions *decisions, bool *ret_enough);

/* From the topic's beginning (setup_schemas first), or the folder of a run. False when something is wrong and has been
 * said. */
bool decisions_read_topic(struct setup *setup, struct decisions *decisions);
bool decisions_read_folder(struct setup *setup, const char *folder, struct decisions *decisions);
void decisions_release(struct decisions *decisions);

void decisions_print(const struct decisions *decisions, bool json);

#endif
