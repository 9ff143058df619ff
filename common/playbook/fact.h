/* The named facts that a playbook's conditions read. The engine fills one struct fact_values at a decision; the compiler
 * knows their names and types; the documentation is generated from this table.
 *
 * Every value is an int64_t: a number, a boolean (0, 1), an enum's index (record.h), or FACT_ABSENT. A comparison with an
 * absent value is false, and so is its opposite. Text facts sit beside, "" = absent. */
#ifndef ORIORI_PLAYBOOK_FACT_H
#define ORIORI_PLAYBOOK_FACT_H

#include "common/base/span.h"

#include <stdint.h>

#define FACT_ABSENT INT64_MIN

enum fact_type { FACT_NUMBER, FACT_BOOLEAN, FACT_DAYS, FACT_TIER, FACT_PHASE, FACT_GROWTH, FACT_SEGMENT, FACT_TEXT };

/* FACT_DAYS: floor((now - X) / 24 h), so it changes with time alone. */
#define FACT_TABLE(X)                                                                                          \
    X(registered, FACT_BOOLEAN, "registered by LINE or by e-mail (R22)")                                       \
    X(registered_email, FACT_BOOLEAN, "registered by e-mail")                                                  \
    X(registered_line, FACT_BOOLEAN, "registered by LINE")                                                     \
    X(consent, FACT_BOOLEAN, "marketing consent (R23)")                                                        \
    X(bounced_email, FACT_BOOLEAN, "mail bounced hard and nothing since proves otherwise (R24)")               \
    X(bounced_line, FACT_BOOLEAN, "the same for LINE")                                                         \
    X(purchases, FACT_NUMBER, "live orders, renewals included (R14)")                                          \
    X(trial, FACT_NUMBER, "of them trial orders (R18)")                                                        \
    X(premium, FACT_NUMBER, "of them premium orders")                                                          \
    X(related, FACT_NUMBER, "of them orders of related products")                                              \
    X(purchases_in_cycle, FACT_NUMBER, "live orders of the present cycle (R29)")                               \
    X(settle_purchases, FACT_NUMBER, "purchases that settle the last purchase's product (R43)")                \
    X(money, FACT_NUMBER, "money spent in the playbook's currency, minor units (R32)")                         \
    X(cycle, FACT_NUMBER, "the present cycle, from 1")                                                         \
    X(days_since_first_purchase, FACT_DAYS, "days since the first live purchase")                              \
    X(days_since_last_purchase, FACT_DAYS, "days since the last live purchase (R35)")                          \
    X(days_since_first_delivery, FACT_DAYS, "days since the first delivery of the cycle")                      \
    X(days_since_last_delivery, FACT_DAYS, "days since the last delivery of the cycle")                        \
    X(days_since_last_response, FACT_DAYS, "days since the last survey response")                              \
    X(days_since_last_open, FACT_DAYS, "days since the last human open or click")                              \
    X(subscription, FACT_BOOLEAN, "a subscription is active (R20)")                                            \
    X(renewals, FACT_NUMBER, "consecutive renewals (R21)")                                                     \
    X(shipped, FACT_NUMBER, "parcels of live orders shipped")                                                  \
    X(delivered, FACT_NUMBER, "of them delivered (R16)")                                                       \
    X(failed, FACT_NUMBER, "failed delivery attempts of live orders")                                          \
    X(shipped_in_cycle, FACT_NUMBER, "parcels of the present cycle shipped")                                   \
    X(delivered_in_cycle, FACT_NUMBER, "parcels of the present cycle delivered")                               \
    X(responses, FACT_NUMBER, "survey responses, all purposes")                                                \
    X(last_satisfaction, FACT_NUMBER, "satisfaction 1..5 of the last response that states it (R28)")           \
    X(last_nps, FACT_NUMBER, "nps 0..10 of the last response that states it (R28)")                            \
    X(positive_reactions, FACT_NUMBER, "positive responses (R26)")                                             \
    X(negative_reactions, FACT_NUMBER, "negative responses")                                                   \
    X(effect_felt, FACT_BOOLEAN, "the effect was felt in this cycle (R27)")                                    \
    X(opens_60d, FACT_NUMBER, "human opens in the last 60 days (R25)")                                         \
    X(clicks_60d, FACT_NUMBER, "human clicks in the last 60 days")                                             \
    X(referrals, FACT_NUMBER, "referrals made (R30)")                                                          \
    X(referrals_converted, FACT_NUMBER, "referrals that bought")                                               \
    X(shares, FACT_NUMBER, "shares")                                                                           \
    X(events_attended, FACT_NUMBER, "events attended")                                                         \
    X(support_contacts, FACT_NUMBER, "support contacts")                                                       \
    X(tier, FACT_TIER, "fan type (R35 to R38)")                                                                \
    X(phase, FACT_PHASE, "phase of the cycle (R39, R40)")                                                      \
    X(growth, FACT_GROWTH, "stage of growth (R43)")                                                            \
    X(segment, FACT_SEGMENT, "NPS and satisfaction segment (R44)")                                             \
    X(answered_assess, FACT_BOOLEAN, "an ASSESS survey was ever answered (R58)")                               \
    X(answered_initial, FACT_BOOLEAN, "an INITIAL survey was answered in this cycle")                          \
    X(answered_first_impression, FACT_BOOLEAN, "FIRST_IMPRESSION answered in this cycle (R58)")                \
    X(answered_early_experience, FACT_BOOLEAN, "EARLY_EXPERIENCE answered in this cycle")                      \
    X(answered_effect, FACT_BOOLEAN, "EFFECT answered in this cycle")                                          \
    X(answered_others_noticed, FACT_BOOLEAN, "OTHERS_NOTICED answered in this cycle")                          \
    X(answered_monthly, FACT_BOOLEAN, "MONTHLY answered in this cycle")                                        \
    X(answered_lapse, FACT_BOOLEAN, "LAPSE answered in this cycle")                                            \
    X(responded_since_first_purchase, FACT_BOOLEAN, "any response at or after the first purchase")             \
    X(order_live, FACT_BOOLEAN, "the run's order is live (R14)")                                               \
    X(order_void, FACT_BOOLEAN, "the run's order is cancelled or wholly refunded")                             \
    X(order_first_of_cycle, FACT_BOOLEAN, "the run's order is the cycle's first live order (R58)")             \
    X(response_positive, FACT_BOOLEAN, "the run's response is positive (R26)")                                 \
    X(response_negative, FACT_BOOLEAN, "the run's response is negative")                                       \
    X(response_consent_to_share, FACT_BOOLEAN, "the run's response may be shared")                             \
    X(response_effect_felt, FACT_BOOLEAN, "effect_felt as the run's response says; absent when it does not")   \
    X(campaign, FACT_TEXT, "the advertisement that the run's order came from")                                 \
    X(goal, FACT_TEXT, "the last goal stated")

enum fact {
#define X(name, type, text) FACT_##name,
    FACT_TABLE(X)
#undef X
    FACT_COUNT
};

#define FACT_BIT(fact) (UINT64_C(1) << (fact)) /* a set of facts is 64 bits */
_Static_assert(FACT_COUNT <= 64, "a set of facts is 64 bits");
#define ALL_FACTS (UINT64_MAX >> (64 - FACT_COUNT))

#define X(name, type, text) | ((type) == FACT_DAYS ? FACT_BIT(FACT_##name) : 0)
static const uint64_t facts_of_days = 0 FACT_TABLE(X); /* the set of those that change with time alone */
#undef X

struct fact_values {
    int64_t value[FACT_COUNT];
    struct span campaign; /* the two text facts */
    struct span goal;
};

const char *fact_name(enum fact fact);
enum fact_type fact_type(enum fact fact);
const char *fact_text(enum fact fact); /* one line for people */
bool fact_find(struct span name, enum fact *ret_fact);

#endif
