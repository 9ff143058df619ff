/* The four dimensions in which a customer is classified: tier.c, phase.c, growth.c, segment.c, each a pure function of
 * the figures. classes.c puts them together and finds the instant of what time alone changed. */
#ifndef ORIORI_ENGINE_CLASSES_H
#define ORIORI_ENGINE_CLASSES_H

#include "common/engine/figures.h"

enum tier tier_of(const struct figures *figures, const struct fact_values *values); /* DOMAIN.md 3 */
enum phase phase_of(const struct figures *figures);                                 /* R39, R40 */
enum growth growth_of(const struct figures *figures, const struct fact_values *values); /* R43 */
enum segment segment_of(const struct figures *figures);                             /* R44 */

struct customer_classes classes_of(const struct figures *figures);

/* The value of a dimension in classes, as an int of its enum. */
int classes_value(const struct customer_classes *classes, enum dimension dimension);

/* R36: sign of the rank difference for a tier; of the enums' order for the others. */
enum direction classes_direction(const struct playbook *playbook, enum dimension dimension, int from, int to);

/* R38, without its condition on the cause: from lapsed or dormant to one of the four. */
bool tier_returns(const struct playbook *playbook, enum tier from, enum tier to);

/* R5: the instant at which a phase and all below it have held since, by the facts' own times. NEVER for assess and for a
 * phase that does not hold: the caller takes the causing event's occurred_at. */
int64_t phase_effective_at(const struct figures *figures, enum phase phase);

/* R3: the instant in (after, now] from which dimension has had, without a break up to now, the value that it has in the
 * figures at now; `after` itself when it had it then already. The facts are those of now throughout; only the clock moves. */
int64_t classes_held_since(const struct figures *figures, struct arena *arena, enum dimension dimension, int64_t after);

/* R45. */
struct named_list classes_evidence(const struct figures *figures, struct arena *arena, enum dimension dimension);

#endif
