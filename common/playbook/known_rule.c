#include "common/playbook/known_rule.h"

#include "common/base/check.h"

static const char *const names[KNOWN_RULES] = {
    "thank_you",
    "tip",
    "newsletter",
    "monthly_survey",
    "survey_thanks",
    "progress_report",
    "usage_insert",
    "aftercare_guide",
    "setup_guide",
    "support_line",
    "reconfirm",
    "positive_stories",
    "advanced_tips",
    "result_vision",
    "early_experience_check",
    "first_impression_check",
    "effect_reminder",
    "others_noticed_check",
    "care_followup",
    "share_positive_feedback",
    "value_recap",
    "second_purchase_nudge",
    "initial_survey",
    "habit_reminder",
    "effect_recall",
    "registration_invite",
    "lapse_survey",
    "premium_offer",
    "seasonal_letter",
    "event_invite",
    "segment_up",
    "welcome_back",
    "delivery_trouble",
    "winback_offer",
    "responsive_fan",
    "tier_up",
    "subscription_offer",
    "referral_offer",
    "we_miss_you",
    "share_kit",
    "celebrate_next_step",
    "referral_reward",
    "guarantee_followup",
    "partner_invitation",
    "recognition",
    "partner_program",
    "reassure_concern",
    "credibility_pack",
    "assess_survey",
};

struct span known_rule_name(int number)
{
    CHECK(number >= 0 && number < KNOWN_RULES);
    return span_of(names[number]);
}

int known_rule_find(struct span name)
{
    for (int i = 0; i < KNOWN_RULES; i++) {
        if (span_equal(span_of(names[i]), name))
            return i;
    }
    return -1;
}
