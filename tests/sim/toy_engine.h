/* A toy engine for tests of the flow: what it does with a customer can be said in advance from his events alone, so
 * that a test knows the one right outcome without the rulings. Each distinct event thanks once (`thank`, key = event
 * id), and reminds once after `delay` ms (`remind`); the first order naming a referrer rewards him once (`reward`, key
 * = friend); while all marketing is held it decides `paused` instead of thanking.
 *
 * An event's value is the text "event_id customer_id occurred_at delay referrer|- test|-"; several in one record stand
 * with ";" between them; "nothing" is a record without an event. */
#ifndef ORIORI_TESTS_SIM_TOY_ENGINE_H
#define ORIORI_TESTS_SIM_TOY_ENGINE_H

#include "common/flow/worker.h"

enum { TOY_EVENTS_MAX = 8 };

extern const struct engine toy_engine;
extern const struct formats toy_formats;

/* A record as toy_formats writes it, one line; what crm.actions and the others hold. */
void toy_record_write(const struct record *record, struct buffer *buffer);

/* The next word of such a line, empty at its end; *rest moves behind it. */
struct span toy_word(struct span *rest);

#endif
