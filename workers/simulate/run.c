/* R83: the clock of a simulation. Lines come in order of arrival; each moves the clock to the latest time seen, all
 * timers due before that fire first, and those due exactly at a clock's instant fire when the clock leaves it (R2). */
#include "common/base/check.h"
#include "common/codec/event_json.h"
#include "common/codec/record_json.h"
#include "workers/simulate/lines.h"
#include "workers/simulate/progress.h"
#include "workers/simulate/simulate.h"
#include "workers/simulate/stage.h"
#include "workers/simulate/tally.h"
#include "workers/simulate/world.h"

#include <time.h>

#define AHEAD_WITHOUT_RECEIVED_AT_MS (400 * DAY_MS) /* R83 */

struct simulation {
    const struct simulate_options *options;
    const struct playbook *playbook;
    FILE *errors;
    struct arena line_arena; /* the event of one line, which outlives the timers that fire before it */
    struct arena arena;      /* of one visit */
    struct world world;
    struct stage stage;
    struct tally tally;
    struct progress progress;
    int64_t clock; /* NEVER before the first line */
    int64_t line_number;
};

static void take_record(void *context, const struct record *record)
{
    struct simulation *s = context;
    tally_record(&s->tally, record);
    if (s->options->watch != NULL)
        s->options->watch->record(s->options->watch->context, record);
    if (s->options->summary || (record->type == RECORD_DECISION && !s->options->decisions))
        return;
    stage_add(&s->stage, record);
}

static void dead_letter(struct simulation *s, enum reason reason, const char *field)
{
    tally_verdict(&s->tally, VERDICT_DEAD);
    progress_clear(&s->progress);
    fprintf(s->errors, "line %lld: dead letter: %s%s%s\n", (long long)s->line_number, reason_name(reason),
            field != NULL ? ": " : "", field != NULL ? field : "");
}

/* R83: the time of a line. */
static int64_t line_time(const struct event *event, int64_t received_at)
{
    return received_at != NEVER ? received_at : event->occurred_at;
}

/* R6, R83: is the line refused for being ahead of its time, when the clock would go to `next`? */
static bool is_future(const struct simulation *s, const struct event *event, int64_t received_at, int64_t next)
{
    if (received_at == NEVER)
        return s->clock != NEVER && event->occurred_at > s->clock + AHEAD_WITHOUT_RECEIVED_AT_MS;
    return event->occurred_at != NEVER && event->occurred_at > next + s->playbook->max_ahead_ms;
}

/* R2: before the clock moves, everything due before its new time fires; in turn, when its customer is met. */
static void move_clock(struct simulation *s, int64_t next)
{
    if (s->clock != NEVER && next > s->clock && !s->world.in_turn)
        world_fire(&s->world, s->clock, next - 1);
    s->clock = next;
}

static void apply(struct simulation *s, const struct event *event)
{
    bool unknown_zone;
    struct event_result result = world_apply(&s->world, event, s->clock, &unknown_zone);
    if (unknown_zone)
        tally_unknown_zone(&s->tally, event->time_zone);
    if (result.verdict == VERDICT_DEAD)
        dead_letter(s, result.reason, result.field);
    else
        tally_verdict(&s->tally, result.verdict);
}

static void take_line(struct simulation *s, struct span line)
{
    struct event event;
    int64_t received_at;
    const char *field;
    enum reason reason = event_json_read(line, &s->line_arena, &event, &received_at, &field);
    int64_t time = event_json_time_fault(reason, field) ? NEVER : line_time(&event, received_at);
    if (time != NEVER && s->options->until != NEVER && time > s->options->until)
        return; /* R83: lines later than --until are not read */
    s->tally.read++;
    if (time == NEVER) {
        dead_letter(s, reason, field); /* moves no clock */
        return;
    }
    int64_t next = s->clock != NEVER && s->clock > time ? s->clock : time;
    if (is_future(s, &event, received_at, next)) {
        dead_letter(s, reason != REASON_NONE ? reason : REASON_FUTURE, reason != REASON_NONE ? field : "occurred_at");
        return; /* nor does this (R83) */
    }
    if (reason == REASON_NONE)
        world_expect(&s->world, event.customer_id);
    move_clock(s, next);
    if (reason != REASON_NONE)
        dead_letter(s, reason, field);
    else
        apply(s, &event);
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

static void take_lines(struct simulation *s, FILE *in)
{
    struct lines lines;
    struct span line;
    lines_init(&lines, in);
    while (lines_next(&lines, &line)) {
        struct span text = event_json_line(line, ++s->line_number);
        if (!is_blank(text))
            take_line(s, text);
        arena_reset(&s->line_arena);
        arena_reset(&s->arena);
        progress_line(&s->progress, line.size + 1, s->clock);
    }
    lines_release(&lines);
}

/* R83: --until inclusive, else the last line's clock, both with the timers due exactly then. */
static void finish_clock(struct simulation *s)
{
    int64_t last = s->options->until != NEVER ? s->options->until : s->clock;
    if (s->clock != NEVER)
        world_fire(&s->world, s->clock, last);
    s->clock = last;
}

static double processor_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void report_timing(const struct simulation *s, double seconds)
{
    const struct world *world = &s->world;
    double visits = world->visit_count > 0 ? (double)world->visit_count : 1;
    double stored = world->stored_count > 0 ? (double)world->stored_count : 1;
    fprintf(s->errors,
            "timing: %lld events, %lld visits, %.2f s of processor: %.0f events/s, %.0f visits/s, %.2f us a visit; "
            "%lld changed, %lld states encoded, %.0f bytes on average\n",
            (long long)s->tally.read, (long long)world->visit_count, seconds, (double)s->tally.read / seconds,
            visits / seconds, seconds * 1e6 / visits, (long long)world->changed_count, (long long)world->stored_count,
            (double)world->stored_bytes / stored);
}

static void add_line(struct buffer *buffer, FILE *out)
{
    buffer_add_char(buffer, '\n');
    fwrite(buffer->data, 1, buffer->size, out);
    buffer_reset(buffer);
}

static void show_states(struct simulation *s)
{
    const struct simulate_watch *watch = s->options->watch;
    struct customer **customers = customers_sorted(&s->world.customers);
    watch->end(watch->context, s->clock);
    for (size_t i = 0; i < s->world.customers.count; i++)
        watch->state(watch->context, customer_id(customers[i]), customer_state(customers[i]));
    free(customers);
}

/* Every customer as he stands at the end, in the summary and, on request, as a record. */
static void report_customers(struct simulation *s, FILE *out)
{
    struct customer **customers = customers_sorted(&s->world.customers);
    struct buffer buffer = {0};
    for (size_t i = 0; i < s->world.customers.count; i++) {
        const struct customer_report report = world_report(&s->world, customers[i], s->clock);
        tally_customer(&s->tally, &report);
        if (s->options->states && !s->options->summary) {
            report_json_write(customer_id(customers[i]), &report, &buffer);
            add_line(&buffer, out);
        }
        arena_reset(&s->arena);
    }
    tally_json_write(&s->tally, s->clock, &buffer);
    add_line(&buffer, out);
    buffer_release(&buffer);
    free(customers);
}

static struct rule_counts *counts_new(const struct playbook *playbook)
{
    struct rule_counts *counts = calloc(playbook->rule_count + 1, sizeof *counts);
    CHECK(counts != NULL);
    return counts;
}

struct simulate_result simulate_run(const struct simulate_options *options, const struct playbook *playbook,
                                    const struct zones *zones, FILE *in, FILE *out, FILE *errors)
{
    struct simulation *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    *s = (struct simulation){.options = options, .playbook = playbook, .errors = errors, .clock = NEVER};
    arena_init(&s->line_arena, 0);
    arena_init(&s->arena, 0);
    struct step_world step = {.playbook = playbook, .zones = zones};
    if (options->summary && options->watch == NULL)
        step.counts = counts_new(playbook);
    world_init(&s->world, &step, options->hot_size, &s->arena, take_record, s);
    if (step.counts != NULL)
        world_take_in_turn(&s->world);
    stage_init(&s->stage, out);
    tally_init(&s->tally);
    progress_start(&s->progress, options->progress ? in : NULL);
    double started = processor_seconds();
    take_lines(s, in);
    finish_clock(s);
    double seconds = processor_seconds() - started;
    progress_clear(&s->progress);
    if (options->timing || options->watch != NULL)
        world_close_states(&s->world); /* nobody else looks at the bytes, or counts them */
    if (options->timing)
        report_timing(s, seconds);
    stage_flush(&s->stage);
    if (step.counts != NULL)
        tally_counts(&s->tally, playbook, step.counts);
    report_customers(s, out);
    if (options->watch != NULL)
        show_states(s);
    struct simulate_result result = {s->tally.dead_letter, fflush(out) != 0 || ferror(out)};
    tally_release(&s->tally);
    stage_release(&s->stage);
    world_release(&s->world);
    arena_release(&s->arena);
    arena_release(&s->line_arena);
    free(step.counts);
    free(s);
    return result;
}
