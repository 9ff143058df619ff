#include "common/codec/avro_write.h"

#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/schema_id.h"

/* ---- events ---- */

static void add_answer(struct buffer *buffer, enum answer answer)
{
    avro_add_long(buffer, answer == ANSWER_ABSENT ? 0 : 1);
    if (answer != ANSWER_ABSENT)
        avro_add_boolean(buffer, answer == ANSWER_TRUE);
}

static void add_optional_long(struct buffer *buffer, int64_t value, int64_t absent)
{
    avro_add_long(buffer, value == absent ? 0 : 1);
    if (value != absent)
        avro_add_long(buffer, value);
}

static void add_common(const struct event *event, struct buffer *buffer)
{
    avro_add_bytes(buffer, event->event_id);
    avro_add_bytes(buffer, event->customer_id);
    avro_add_long(buffer, event->occurred_at);
    avro_add_optional_text(buffer, event->source);
    add_optional_long(buffer, event->version, 0);
    avro_add_boolean(buffer, event->backfill);
    avro_add_boolean(buffer, event->test);
}

static void add_lines(const struct event *event, struct buffer *buffer)
{
    if (event->line_count != 0)
        avro_add_long(buffer, (int64_t)event->line_count);
    for (size_t i = 0; i < event->line_count; i++) {
        avro_add_optional_text(buffer, event->lines[i].sku);
        avro_add_long(buffer, event->lines[i].quantity);
        avro_add_long(buffer, event->lines[i].unit_price);
    }
    avro_add_long(buffer, 0);
}

static void add_order(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    (void)unread;
    avro_add_long(buffer, event->kind - EVENT_PLACED);
    avro_add_optional_text(buffer, event->order_id);
    add_lines(event, buffer);
    avro_add_optional_text(buffer, event->currency);
    avro_add_optional_text(buffer, event->subscription_id);
    avro_add_optional_text(buffer, event->referrer_customer_id);
    avro_add_optional_text(buffer, event->coupon);
    avro_add_optional_text(buffer, event->campaign);
    add_optional_long(buffer, event->refund_amount, REFUND_WHOLE);
    add_answer(buffer, event->email_registered);
    add_answer(buffer, event->line_registered);
    add_answer(buffer, event->marketing_consent);
    avro_add_optional_text(buffer, event->time_zone);
}

static void add_delivery(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    (void)unread;
    avro_add_long(buffer, event->kind - EVENT_SHIPPED);
    avro_add_bytes(buffer, event->order_id);
    avro_add_optional_text(buffer, event->parcel_id);
    avro_add_optional_text(buffer, event->carrier);
    avro_add_optional_text(buffer, event->tracking);
    avro_add_optional_time(buffer, event->estimated_at);
}

static void add_concerns(uint32_t concerns, struct buffer *buffer)
{
    if (concerns != 0)
        avro_add_long(buffer, __builtin_popcount(concerns));
    for (int concern = 0; concern < CONCERN_COUNT; concern++)
        if ((concerns & 1u << concern) != 0)
            avro_add_long(buffer, concern);
    avro_add_long(buffer, 0);
}

/* map of string */
static void add_answers(struct buffer *buffer, const struct json *answers)
{
    if (answers != NULL && answers->count != 0)
        avro_add_long(buffer, answers->count);
    for (const struct json *answer = answers ? answers->first : NULL; answer != NULL; answer = answer->next) {
        struct buffer text = {0};
        avro_add_bytes(buffer, answer->key);
        if (answer->type != JSON_KIND_TEXT)
            json_add(&text, answer);
        avro_add_bytes(buffer, answer->type == JSON_KIND_TEXT ? answer->text : buffer_span(&text));
        buffer_release(&text);
    }
    avro_add_long(buffer, 0);
}

static void add_survey(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    avro_add_bytes(buffer, event->survey_id);
    avro_add_bytes(buffer, event->response_id);
    avro_add_long(buffer, event->purpose);
    add_optional_long(buffer, event->satisfaction, 0);
    add_optional_long(buffer, event->nps, -1);
    add_answer(buffer, event->effect_felt);
    avro_add_optional_text(buffer, event->goal);
    add_concerns(event->concerns, buffer);
    add_answer(buffer, event->consent_to_share);
    avro_add_optional_text(buffer, unread->comment);
    add_answers(buffer, unread->answers);
}

static void add_email_open(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    (void)unread;
    avro_add_long(buffer, event->kind - EVENT_OPENED);
    avro_add_optional_text(buffer, event->action_id);
    avro_add_optional_text(buffer, event->campaign);
    avro_add_long(buffer, event->channel);
    avro_add_long(buffer, event->agent);
}

static void add_customer(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    avro_add_long(buffer, event->kind - EVENT_REGISTERED);
    avro_add_long(buffer, 1);
    avro_add_long(buffer, event->channel);
    add_answer(buffer, event->marketing_consent);
    avro_add_optional_text(buffer, event->referred_customer_id);
    avro_add_optional_text(buffer, event->time_zone);
    avro_add_optional_text(buffer, unread->note);
}

struct event_unread event_unread_of(const struct json *event)
{
    const struct json *comment = json_member(event, SPAN("comment")), *note = json_member(event, SPAN("note"));
    const struct json *answers = json_member(event, SPAN("answers"));
    return (struct event_unread){
        .comment = comment && comment->type == JSON_KIND_TEXT ? comment->text : SPAN(""),
        .note = note && note->type == JSON_KIND_TEXT ? note->text : SPAN(""),
        .answers = answers && answers->type == JSON_KIND_OBJECT ? answers : NULL,
    };
}

void event_avro_write(const struct event *event, const struct event_unread *unread, struct buffer *buffer)
{
    static const struct event_unread nothing;
    static void (*const add[TOPIC_COUNT])(const struct event *, const struct event_unread *, struct buffer *) = {
        [TOPIC_ORDERS] = add_order,           [TOPIC_DELIVERIES] = add_delivery, [TOPIC_SURVEYS] = add_survey,
        [TOPIC_EMAIL_OPENS] = add_email_open, [TOPIC_CUSTOMERS] = add_customer,
    };
    CHECK(event->topic < TOPIC_COUNT && event->kind != EVENT_CREDIT);
    wire_header_add(buffer, (uint32_t)(SCHEMA_ORDER + event->topic));
    add_common(event, buffer);
    add[event->topic](event, unread ? unread : &nothing, buffer);
}

/* ---- records ---- */

/* map of union [null, long, boolean, string] */
static void add_named(struct buffer *buffer, const struct named_list *list)
{
    if (list->count != 0)
        avro_add_long(buffer, (int64_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct named *item = &list->items[i];
        avro_add_bytes(buffer, item->name);
        avro_add_long(buffer, item->type);
        if (item->type == NAMED_INTEGER)
            avro_add_long(buffer, item->integer);
        else if (item->type == NAMED_BOOLEAN)
            avro_add_boolean(buffer, item->integer != 0);
        else if (item->type == NAMED_TEXT)
            avro_add_bytes(buffer, item->text);
    }
    avro_add_long(buffer, 0);
}

static void add_transition(const struct transition *t, struct buffer *buffer)
{
    avro_add_long(buffer, t->dimension);
    avro_add_optional_text(buffer, span_of(class_value_name(t->dimension, t->from)));
    avro_add_text(buffer, class_value_name(t->dimension, t->to));
    avro_add_long(buffer, t->direction);
    avro_add_boolean(buffer, t->rest);
    avro_add_long(buffer, t->cause);
    avro_add_optional_text(buffer, t->event_id);
    avro_add_long(buffer, t->effective_at);
    avro_add_long(buffer, t->cycle);
    avro_add_boolean(buffer, t->returned);
    avro_add_boolean(buffer, t->backfill);
    add_named(buffer, &t->evidence);
}

static void add_classes(const struct customer_classes *classes, struct buffer *buffer)
{
    avro_add_text(buffer, class_value_name(DIMENSION_TIER, (int)classes->tier));
    avro_add_text(buffer, class_value_name(DIMENSION_PHASE, (int)classes->phase));
    avro_add_text(buffer, class_value_name(DIMENSION_GROWTH, (int)classes->growth));
    avro_add_text(buffer, class_value_name(DIMENSION_SEGMENT, (int)classes->segment));
    avro_add_long(buffer, classes->cycle);
}

static void add_action(const struct action *a, struct buffer *buffer)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_text(&a->action_id, id);
    avro_add_long(buffer, a->kind);
    avro_add_text(buffer, id);
    avro_add_bytes(buffer, a->rule);
    avro_add_bytes(buffer, a->key);
    avro_add_long(buffer, a->n);
    avro_add_optional_text(buffer, a->template_name);
    avro_add_long(buffer, a->channel);
    avro_add_long(buffer, a->audience);
    avro_add_long(buffer, a->class);
    add_classes(&a->classes, buffer);
    avro_add_optional_text(buffer, a->order_id);
    avro_add_optional_text(buffer, a->event_id);
    avro_add_long(buffer, a->due_at);
    avro_add_long(buffer, a->made_at);
    avro_add_long(buffer, a->send_after);
    avro_add_optional_time(buffer, a->expires_at);
    add_named(buffer, &a->variables);
    avro_add_bytes(buffer, a->playbook_version);
    avro_add_optional_text(buffer, a->variant);
    avro_add_long(buffer, a->reason == REVOKE_NONE ? 0 : 1);
    if (a->reason != REVOKE_NONE)
        avro_add_long(buffer, a->reason - REVOKE_ORDER_VOID);
}

static void add_decision(const struct decision *d, struct buffer *buffer)
{
    avro_add_bytes(buffer, d->rule);
    avro_add_bytes(buffer, d->key);
    avro_add_long(buffer, d->n);
    avro_add_long(buffer, d->outcome);
    avro_add_optional_text(buffer, d->detail);
    avro_add_long(buffer, d->due_at);
    avro_add_optional_time(buffer, d->until);
    add_named(buffer, &d->values);
    avro_add_bytes(buffer, d->playbook_version);
    avro_add_optional_text(buffer, d->event_id);
}

void record_avro_write(const struct record *record, struct buffer *buffer)
{
    static const enum schema_id ids[] = {
        [RECORD_TRANSITION] = SCHEMA_TRANSITION, [RECORD_ACTION] = SCHEMA_ACTION, [RECORD_DECISION] = SCHEMA_DECISION};
    wire_header_add(buffer, ids[record->type]);
    avro_add_long(buffer, record->at);
    avro_add_bytes(buffer, record->customer_id);
    avro_add_long(buffer, record->seq);
    if (record->type == RECORD_TRANSITION)
        add_transition(&record->transition, buffer);
    else if (record->type == RECORD_ACTION)
        add_action(&record->action, buffer);
    else
        add_decision(&record->decision, buffer);
}

bool decision_avro_seq(struct span value, int64_t *ret_seq)
{
    uint32_t schema_id;
    struct span datum;
    if (!wire_header_read(value, &schema_id, &datum))
        return false;
    struct avro_cursor cursor = avro_cursor_of(datum);
    avro_read_long(&cursor);  /* at */
    avro_read_bytes(&cursor); /* customer_id */
    int64_t seq = avro_read_long(&cursor);
    if (cursor.bad || seq < 1)
        return false;
    *ret_seq = seq;
    return true;
}
