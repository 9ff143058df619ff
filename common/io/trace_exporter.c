#include "common/io/trace_exporter.h"

#include "common/base/check.h"
#include "common/base/exposition.h"
#include "common/io/http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum {
    QUEUE_SPANS = 2048,
    QUEUE_BYTES = 2 << 20,
    SEND_EVERY_MS = 1000,
    SEND_TIMEOUT_MS = 2000,
    WARN_EVERY_S = 60,
    ANSWER_SIZE_MAX = 65536,
    KIND_PRODUCER = 4, /* of OTLP's enum SpanKind */
    KIND_CONSUMER = 5
};

struct trace_exporter {
    struct trace_exporter_options options;
    struct buffer head; /* of a request, up to the spans */
    /* the thread's own */
    CURL *curl;
    struct curl_slist *headers;
    struct buffer answer;
    struct http_sink sink;
    char curl_error[CURL_ERROR_SIZE];
    uint64_t untold; /* spans lost since the last warning */
    time_t told_at;  /* monotonic s; 0 = never */
    /* between the threads */
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    struct buffer waiting; /* spans with commas between */
    size_t waiting_count;
    uint64_t sent, dropped;
    bool ending;
};

/* ---- JSON ---- */

static void add_quoted(struct buffer *out, struct span text)
{
    buffer_add_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            buffer_add_char(out, '\\');
        if (c < 0x20)
            buffer_format(out, "\\u%04x", c);
        else
            buffer_add_char(out, (char)c);
    }
    buffer_add_char(out, '"');
}

static void add_text(struct buffer *out, const char *key, struct span value)
{
    buffer_format(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    add_quoted(out, value);
    buffer_add_text(out, "}}");
}

static void add_integer(struct buffer *out, const char *key, int64_t value)
{
    buffer_format(out, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%lld\"}}", key, (long long)value);
}

static void add_ids(struct buffer *out, const struct trace_context *context)
{
    char trace[2 * TRACE_ID_SIZE + 1], span[2 * TRACE_SPAN_ID_SIZE + 1];
    trace_hex(context->trace_id, TRACE_ID_SIZE, trace);
    trace_hex(context->span_id, TRACE_SPAN_ID_SIZE, span);
    buffer_format(out, "\"traceId\":\"%s\",\"spanId\":\"%s\"", trace, span);
}

/* OpenTelemetry's conventions for messaging, as of their version 1.27. destination: "" = several. */
static void add_span_head(struct buffer *out, const struct trace_context *own, const char *operation,
                          const char *destination, int kind, int64_t began_ms, int64_t ended_ms)
{
    const char *blank = destination[0] ? " " : "";
    buffer_add_char(out, '{');
    add_ids(out, own);
    buffer_format(
        out,
        ",\"name\":\"%s%s%s\",\"kind\":%d,\"startTimeUnixNano\":\"%lld000000\",\"endTimeUnixNano\":\"%lld000000\","
        "\"attributes\":[",
        operation, blank, destination, kind, (long long)began_ms, (long long)ended_ms);
    add_text(out, "messaging.system", SPAN("kafka"));
    buffer_add_char(out, ',');
    add_text(out, "messaging.operation.name", span_of(operation)); /* Kafka's clients call them so too */
    buffer_add_char(out, ',');
    add_text(out, "messaging.operation.type", span_of(operation));
    buffer_add_char(out, ',');
}

/* ---- the queue ---- */

/* False: full. The text is copied. */
static void enqueue(struct trace_exporter *exporter, const struct buffer *span)
{
    pthread_mutex_lock(&exporter->lock);
    if (exporter->waiting_count == QUEUE_SPANS || exporter->waiting.size + span->size >= QUEUE_BYTES) {
        exporter->dropped++;
    } else {
        if (exporter->waiting_count++)
            buffer_add_char(&exporter->waiting, ',');
        buffer_add_span(&exporter->waiting, buffer_span(span));
    }
    pthread_mutex_unlock(&exporter->lock);
}

/* The rightmost bytes of a trace's id are its random ones. */
static bool chosen(const struct trace_exporter *exporter, const struct trace_context *context)
{
    uint32_t random = 0;
    for (int i = TRACE_ID_SIZE - 4; i < TRACE_ID_SIZE; i++)
        random = random << 8 | context->trace_id[i];
    return random < (uint64_t)exporter->options.sample_percent * (UINT64_C(1) << 32) / 100;
}

static void tell_action(void *context, const struct trace_action *action, int64_t began_ms, int64_t ended_ms)
{
    struct trace_exporter *exporter = context;
    const struct record *record = action->record;
    struct buffer span = {0};
    char parent[2 * TRACE_SPAN_ID_SIZE + 1], id[UUID_TEXT_SIZE + 1];
    if (!chosen(exporter, &action->own))
        return;
    trace_hex(action->parent.span_id, TRACE_SPAN_ID_SIZE, parent);
    uuid_text(&record->action.action_id, id);
    add_span_head(&span, &action->own, "send", action->topic, KIND_PRODUCER, began_ms, ended_ms);
    add_text(&span, "messaging.destination.name", span_of(action->topic));
    buffer_add_char(&span, ',');
    add_text(&span, "messaging.message.id", span_of(id));
    buffer_add_char(&span, ',');
    add_text(&span, "oriori.rule", record->action.rule);
    if (action->cause) {
        buffer_add_char(&span, ',');
        add_text(&span, "oriori.cause.topic", action->cause->topic);
    }
    buffer_format(&span, "],\"parentSpanId\":\"%s\"}", parent);
    enqueue(exporter, &span);
    buffer_release(&span);
}

/* A batch belongs to no one trace: a trace of its own, with links to those that it worked on. It is of several topics,
 * so it names none. */
static void tell_batch(void *context, const struct trace_context *links, size_t link_count, size_t record_count,
                       int64_t began_ms, int64_t ended_ms)
{
    struct trace_exporter *exporter = context;
    struct trace_context own = {.sampled = true};
    struct buffer span = {0};
    size_t count = 0;
    if (getrandom(own.trace_id, sizeof(own.trace_id), GRND_NONBLOCK) != sizeof(own.trace_id) ||
        getrandom(own.span_id, sizeof(own.span_id), GRND_NONBLOCK) != sizeof(own.span_id))
        return;
    add_span_head(&span, &own, "process", "", KIND_CONSUMER, began_ms, ended_ms);
    add_text(&span, "messaging.consumer.group.name", span_of(exporter->options.group));
    buffer_add_char(&span, ',');
    add_integer(&span, "messaging.batch.message_count", (int64_t)record_count);
    buffer_add_text(&span, "],\"links\":[");
    for (size_t i = 0; i < link_count; i++) {
        if (!chosen(exporter, &links[i]))
            continue;
        buffer_add_text(&span, count++ ? ",{" : "{");
        add_ids(&span, &links[i]);
        buffer_add_char(&span, '}');
    }
    buffer_add_text(&span, "]}");
    if (count)
        enqueue(exporter, &span);
    buffer_release(&span);
}

/* ---- the thread ---- */

/* The reason of a failure that goes on is said once a minute. */
static void warn(struct trace_exporter *exporter, const char *reason, size_t lost)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    exporter->untold += lost;
    if (exporter->told_at && now.tv_sec - exporter->told_at < WARN_EVERY_S)
        return;
    exporter->options.warn(reason, exporter->untold);
    exporter->untold = 0;
    exporter->told_at = now.tv_sec;
}

/* False: not taken, and said. */
static bool post(struct trace_exporter *exporter, const struct buffer *spans, size_t count)
{
    struct buffer body = {0};
    long status = 0;
    buffer_add_span(&body, buffer_span(&exporter->head));
    buffer_add_span(&body, buffer_span(spans));
    buffer_add_text(&body, "]}]}]}");
    http_post(exporter->curl, &body);
    buffer_reset(&exporter->answer);
    exporter->curl_error[0] = '\0';
    CURLcode code = curl_easy_perform(exporter->curl);
    curl_easy_getinfo(exporter->curl, CURLINFO_RESPONSE_CODE, &status);
    buffer_release(&body);
    if (code == CURLE_OK && status / 100 == 2)
        return true;
    char reason[CURL_ERROR_SIZE + 64];
    if (code == CURLE_OK)
        snprintf(reason, sizeof(reason), "it answers with HTTP status %ld", status);
    else
        snprintf(reason, sizeof(reason), "%s",
                 exporter->curl_error[0] ? exporter->curl_error : curl_easy_strerror(code));
    warn(exporter, reason, count);
    return false;
}

/* Under the lock: waits until it is time, or the end. */
static void wait_for_time(struct trace_exporter *exporter)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SEND_EVERY_MS / 1000;
    while (!exporter->ending && pthread_cond_timedwait(&exporter->wake, &exporter->lock, &until) == 0)
        ;
}

static void *send_all(void *context)
{
    struct trace_exporter *exporter = context;
    struct buffer taken = {0};
    bool ending = false;
    while (!ending) {
        pthread_mutex_lock(&exporter->lock);
        wait_for_time(exporter);
        ending = exporter->ending;
        size_t count = exporter->waiting_count;
        struct buffer empty = taken;
        taken = exporter->waiting;
        exporter->waiting = empty;
        exporter->waiting_count = 0;
        pthread_mutex_unlock(&exporter->lock);
        if (count == 0)
            continue;
        bool good = post(exporter, &taken, count);
        buffer_reset(&taken);
        pthread_mutex_lock(&exporter->lock);
        *(good ? &exporter->sent : &exporter->dropped) += count;
        pthread_mutex_unlock(&exporter->lock);
    }
    buffer_release(&taken);
    return NULL;
}

/* ---- life ---- */

static void open_curl(struct trace_exporter *exporter)
{
    const struct trace_exporter_options *options = &exporter->options;
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    exporter->curl = curl_easy_init();
    CHECK(exporter->curl);
    exporter->sink = (struct http_sink){&exporter->answer, ANSWER_SIZE_MAX};
    exporter->headers = http_headers("Content-Type: application/json", options->headers);
    http_prepare(exporter->curl, options->endpoint, SEND_TIMEOUT_MS, options->ca, &exporter->sink);
    curl_easy_setopt(exporter->curl, CURLOPT_HTTPHEADER, exporter->headers);
    curl_easy_setopt(exporter->curl, CURLOPT_ERRORBUFFER, exporter->curl_error);
}

struct trace_exporter *trace_exporter_open(const struct trace_exporter_options *options)
{
    struct trace_exporter *exporter = calloc(1, sizeof(*exporter));
    pthread_condattr_t monotonic;
    CHECK(exporter);
    exporter->options = *options;
    buffer_add_text(&exporter->head, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_text(&exporter->head, "service.name", span_of(options->service));
    buffer_add_char(&exporter->head, ',');
    add_text(&exporter->head, "service.version", span_of(options->version));
    buffer_add_char(&exporter->head, ',');
    add_text(&exporter->head, "service.instance.id", span_of(options->instance));
    buffer_add_text(&exporter->head, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"oriori\"},\"spans\":[");
    open_curl(exporter);
    pthread_mutex_init(&exporter->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&exporter->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    CHECK(pthread_create(&exporter->thread, NULL, send_all, exporter) == 0);
    return exporter;
}

void trace_exporter_close(struct trace_exporter *exporter)
{
    if (!exporter)
        return;
    pthread_mutex_lock(&exporter->lock);
    exporter->ending = true;
    pthread_cond_signal(&exporter->wake);
    pthread_mutex_unlock(&exporter->lock);
    pthread_join(exporter->thread, NULL);
    curl_easy_cleanup(exporter->curl);
    curl_slist_free_all(exporter->headers);
    buffer_release(&exporter->answer);
    pthread_cond_destroy(&exporter->wake);
    pthread_mutex_destroy(&exporter->lock);
    buffer_release(&exporter->head);
    buffer_release(&exporter->waiting);
    free(exporter);
}

struct trace_sink trace_exporter_sink(struct trace_exporter *exporter)
{
    return (struct trace_sink){exporter, tell_action, tell_batch};
}

void trace_exporter_write(struct trace_exporter *exporter, struct buffer *text)
{
    uint64_t sent = 0, dropped = 0;
    if (exporter) {
        pthread_mutex_lock(&exporter->lock);
        sent = exporter->sent;
        dropped = exporter->dropped;
        pthread_mutex_unlock(&exporter->lock);
    }
    exposition_plain(text, EXPOSITION_COUNTER, "trace_spans_sent_total", "Spans that the collector took.",
                     (double)sent);
    exposition_plain(text, EXPOSITION_COUNTER, "trace_spans_dropped_total",
                     "Spans lost: the queue was full, or the collector did not take them.", (double)dropped);
}
