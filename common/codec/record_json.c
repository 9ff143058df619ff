#include "common/codec/record_json.h"

#include "common/codec/json.h"

/* A key as it is written, quotes and colon included. */
#define KEY(name) SPAN("\"" name "\":")

/* Every helper writes `"key":value,`; object_end turns the last comma into the brace. */
static void add_key(struct buffer *buffer, struct span key)
{
    buffer_add_span(buffer, key);
}

static void object_end(struct buffer *buffer)
{
    if (buffer->data[buffer->size - 1] == ',')
        buffer->data[buffer->size - 1] = '}';
    else
        buffer_add_char(buffer, '}');
}

static void add_null(struct buffer *buffer, struct span key)
{
    add_key(buffer, key);
    buffer_add(buffer, "null,", 5);
}

static void add_integer(struct buffer *buffer, struct span key, int64_t value)
{
    add_key(buffer, key);
    buffer_add_integer(buffer, value);
    buffer_add_char(buffer, ',');
}

/* absent: the value that means null. */
static void add_integer_unless(struct buffer *buffer, struct span key, int64_t value, int64_t absent)
{
    if (value == absent)
        add_null(buffer, key);
    else
        add_integer(buffer, key, value);
}

static void add_time(struct buffer *buffer, struct span key, int64_t time)
{
    add_integer_unless(buffer, key, time, NEVER);
}

static void add_boolean(struct buffer *buffer, struct span key, bool value)
{
    add_key(buffer, key);
    buffer_add_text(buffer, value ? "true," : "false,");
}

static void add_text(struct buffer *buffer, struct span key, struct span text)
{
    add_key(buffer, key);
    json_add_text(buffer, text);
    buffer_add_char(buffer, ',');
}

static void add_text_or_null(struct buffer *buffer, struct span key, struct span text)
{
    if (span_empty(text))
        add_null(buffer, key);
    else
        add_text(buffer, key, text);
}

/* A word of ours: nothing to escape. NULL = null. */
static void add_word(struct buffer *buffer, struct span key, const char *word)
{
    if (word == NULL) {
        add_null(buffer, key);
        return;
    }
    add_key(buffer, key);
    buffer_add_char(buffer, '"');
    buffer_add_text(buffer, word);
    buffer_add(buffer, "\",", 2);
}

static void add_named_value(struct buffer *buffer, const struct named *item)
{
    switch (item->type) {
    case NAMED_NULL:
        buffer_add_text(buffer, "null");
        break;
    case NAMED_INTEGER:
        buffer_add_integer(buffer, item->integer);
        break;
    case NAMED_BOOLEAN:
        buffer_add_text(buffer, item->integer != 0 ? "true" : "false");
        break;
    case NAMED_TEXT:
        json_add_text(buffer, item->text);
        break;
    }
}

static void add_named(struct buffer *buffer, struct span key, const struct named_list *list)
{
    add_key(buffer, key);
    buffer_add_char(buffer, '{');
    for (size_t i = 0; i < list->count; i++) {
        json_add_text(buffer, list->items[i].name);
        buffer_add_char(buffer, ':');
        add_named_value(buffer, &list->items[i]);
        buffer_add_char(buffer, ',');
    }
    object_end(buffer);
    buffer_add_char(buffer, ',');
}

static void add_classes(struct buffer *buffer, const struct customer_classes *classes)
{
    add_word(buffer, KEY("tier"), class_value_name(DIMENSION_TIER, (int)classes->tier));
    add_word(buffer, KEY("phase"), class_value_name(DIMENSION_PHASE, (int)classes->phase));
    add_word(buffer, KEY("growth"), class_value_name(DIMENSION_GROWTH, (int)classes->growth));
    add_word(buffer, KEY("segment"), class_value_name(DIMENSION_SEGMENT, (int)classes->segment));
    add_integer(buffer, KEY("cycle"), classes->cycle);
}

static void add_transition(struct buffer *buffer, const struct transition *t)
{
    add_word(buffer, KEY("dimension"), dimension_name(t->dimension));
    add_word(buffer, KEY("from"), class_value_name(t->dimension, t->from));
    add_word(buffer, KEY("to"), class_value_name(t->dimension, t->to));
    add_word(buffer, KEY("direction"), direction_name(t->direction));
    add_boolean(buffer, KEY("rest"), t->rest);
    add_word(buffer, KEY("cause"), cause_name(t->cause));
    add_text_or_null(buffer, KEY("event_id"), t->event_id);
    add_integer(buffer, KEY("effective_at"), t->effective_at);
    add_integer(buffer, KEY("cycle"), t->cycle);
    add_boolean(buffer, KEY("returned"), t->returned);
    add_boolean(buffer, KEY("backfill"), t->backfill);
    add_named(buffer, KEY("evidence"), &t->evidence);
}

static void add_action(struct buffer *buffer, const struct action *a)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_text(&a->action_id, id);
    add_word(buffer, KEY("kind"), action_kind_name(a->kind));
    add_word(buffer, KEY("action_id"), id);
    add_text(buffer, KEY("rule"), a->rule);
    add_text(buffer, KEY("key"), a->key);
    add_integer(buffer, KEY("n"), a->n);
    add_text_or_null(buffer, KEY("template"), a->template_name);
    add_word(buffer, KEY("channel"), channel_name(a->channel));
    add_word(buffer, KEY("audience"), audience_name(a->audience));
    add_word(buffer, KEY("class"), action_class_name(a->class));
    add_key(buffer, KEY("state"));
    buffer_add_char(buffer, '{');
    add_classes(buffer, &a->classes);
    object_end(buffer);
    buffer_add_char(buffer, ',');
    add_text_or_null(buffer, KEY("order_id"), a->order_id);
    add_text_or_null(buffer, KEY("event_id"), a->event_id);
    add_time(buffer, KEY("due_at"), a->due_at);
    add_time(buffer, KEY("made_at"), a->made_at);
    add_time(buffer, KEY("send_after"), a->send_after);
    add_time(buffer, KEY("expires_at"), a->expires_at);
    add_named(buffer, KEY("variables"), &a->variables);
    add_text(buffer, KEY("playbook_version"), a->playbook_version);
    add_text_or_null(buffer, KEY("variant"), a->variant);
    add_word(buffer, KEY("reason"), revoke_reason_name(a->reason));
}

static void add_decision(struct buffer *buffer, const struct decision *d)
{
    add_text(buffer, KEY("rule"), d->rule);
    add_text(buffer, KEY("key"), d->key);
    add_integer(buffer, KEY("n"), d->n);
    add_word(buffer, KEY("outcome"), outcome_name(d->outcome));
    add_text_or_null(buffer, KEY("detail"), d->detail);
    add_time(buffer, KEY("due_at"), d->due_at);
    add_time(buffer, KEY("until"), d->until);
    add_named(buffer, KEY("values"), &d->values);
    add_text(buffer, KEY("playbook_version"), d->playbook_version);
    add_text_or_null(buffer, KEY("event_id"), d->event_id);
}

void record_json_write(const struct record *record, struct buffer *buffer)
{
    static const char *const types[] = {
        [RECORD_TRANSITION] = "transition", [RECORD_ACTION] = "action", [RECORD_DECISION] = "decision"};
    buffer_add_char(buffer, '{');
    add_word(buffer, KEY("type"), types[record->type]);
    add_integer(buffer, KEY("at"), record->at);
    add_text(buffer, KEY("customer_id"), record->customer_id);
    add_integer(buffer, KEY("seq"), record->seq);
    if (record->type == RECORD_TRANSITION)
        add_transition(buffer, &record->transition);
    else if (record->type == RECORD_ACTION)
        add_action(buffer, &record->action);
    else
        add_decision(buffer, &record->decision);
    object_end(buffer);
}

static void add_money(struct buffer *buffer, const struct customer_report *r)
{
    add_key(buffer, KEY("money"));
    buffer_add_char(buffer, '{');
    for (size_t i = 0; i < r->money_count; i++) {
        json_add_text(buffer, r->money[i].currency);
        buffer_add_char(buffer, ':');
        buffer_add_integer(buffer, r->money[i].minor);
        buffer_add_char(buffer, ',');
    }
    object_end(buffer);
    buffer_add_char(buffer, ',');
}

static void add_purchases(struct buffer *buffer, const struct customer_report *r)
{
    add_boolean(buffer, KEY("registered_email"), r->registered_email);
    add_boolean(buffer, KEY("registered_line"), r->registered_line);
    add_boolean(buffer, KEY("consent"), r->consent);
    add_integer(buffer, KEY("purchases"), r->purchases);
    add_integer(buffer, KEY("trial"), r->trial);
    add_integer(buffer, KEY("premium"), r->premium);
    add_integer(buffer, KEY("related"), r->related);
    add_money(buffer, r);
    add_time(buffer, KEY("first_purchase_at"), r->first_purchase_at);
    add_time(buffer, KEY("last_purchase_at"), r->last_purchase_at);
    add_boolean(buffer, KEY("subscription"), r->subscription);
    add_time(buffer, KEY("subscription_since"), r->subscription_since);
    add_integer(buffer, KEY("renewals"), r->renewals);
}

static void add_reactions(struct buffer *buffer, const struct customer_report *r)
{
    add_integer(buffer, KEY("shipped"), r->shipped);
    add_integer(buffer, KEY("delivered"), r->delivered);
    add_integer(buffer, KEY("failed"), r->failed);
    add_time(buffer, KEY("first_delivery_at"), r->first_delivery_at);
    add_time(buffer, KEY("last_delivery_at"), r->last_delivery_at);
    add_integer(buffer, KEY("responses"), r->responses);
    add_integer_unless(buffer, KEY("last_satisfaction"), r->last_satisfaction, 0);
    add_integer_unless(buffer, KEY("last_nps"), r->last_nps, -1);
    add_time(buffer, KEY("last_response_at"), r->last_response_at);
    add_integer(buffer, KEY("positive"), r->positive);
    add_integer(buffer, KEY("negative"), r->negative);
    add_boolean(buffer, KEY("effect_felt"), r->effect_felt);
    add_time(buffer, KEY("last_open_at"), r->last_open_at);
    add_integer(buffer, KEY("opens_60d"), r->opens_60d);
    add_integer(buffer, KEY("clicks_60d"), r->clicks_60d);
    add_integer(buffer, KEY("referrals"), r->referrals);
    add_integer(buffer, KEY("referrals_converted"), r->referrals_converted);
    add_integer(buffer, KEY("shares"), r->shares);
    add_integer(buffer, KEY("events_attended"), r->events_attended);
    add_integer(buffer, KEY("support_contacts"), r->support_contacts);
}

void report_json_write(struct span customer_id, const struct customer_report *report, struct buffer *buffer)
{
    buffer_add_char(buffer, '{');
    add_word(buffer, KEY("type"), "state");
    add_text(buffer, KEY("customer_id"), customer_id);
    if (report->erased) {
        add_boolean(buffer, KEY("erased"), true);
    } else {
        add_classes(buffer, &report->classes);
        add_purchases(buffer, report);
        add_reactions(buffer, report);
    }
    object_end(buffer);
}
