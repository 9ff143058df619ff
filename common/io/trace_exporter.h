/* Spans to an OpenTelemetry collector: OTLP over HTTP, as JSON, by a thread of its own. The flow only writes a span's
 * text into a bounded queue: when the collector is slow or away, spans are dropped and counted, and nobody waits. */
#ifndef ORIORI_IO_TRACE_EXPORTER_H
#define ORIORI_IO_TRACE_EXPORTER_H

#include "common/base/buffer.h"
#include "common/flow/trace.h"

struct trace_exporter;

/* The texts must live as long as the exporter. */
struct trace_exporter_options {
    const char *endpoint;                     /* "http://127.0.0.1:4318/v1/traces" */
    const char *headers;                      /* lines "Name: value"; "" = none */
    const char *ca;                           /* a file of certificates (PEM); "" = the system's */
    const char *service, *version, *instance; /* service.name, service.version, service.instance.id */
    const char *group;                        /* of the consumer */
    int64_t sample_percent; /* of the traces that their callers sampled, chosen by the trace's id, so that all who
                             * choose by it agree */
    /* On the exporter's own thread, at most once a minute: why `lost` spans since the last call were not taken. */
    void (*warn)(const char *reason, uint64_t lost);
};

struct trace_exporter *trace_exporter_open(const struct trace_exporter_options *options);
void trace_exporter_close(struct trace_exporter *exporter); /* sends what waits, in 4 s at most; NULL is fine */

/* What the flow calls; context is the exporter. */
struct trace_sink trace_exporter_sink(struct trace_exporter *exporter); /* NULL = a sink of nobody */

/* Appends its figures for /metrics; NULL = zeros. */
void trace_exporter_write(struct trace_exporter *exporter, struct buffer *text);

#endif
