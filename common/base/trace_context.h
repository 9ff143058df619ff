/* W3C Trace Context, version 00: "00-<32 hex trace>-<16 hex span>-<2 hex flags>". */
#ifndef ORIORI_BASE_TRACE_CONTEXT_H
#define ORIORI_BASE_TRACE_CONTEXT_H

#include "common/base/span.h"

#include <stdbool.h>

enum { TRACE_ID_SIZE = 16, TRACE_SPAN_ID_SIZE = 8, TRACE_TEXT_SIZE = 55 };

struct trace_context {
    unsigned char trace_id[TRACE_ID_SIZE];
    unsigned char span_id[TRACE_SPAN_ID_SIZE];
    bool sampled;
};

/* False: no traceparent that may be followed (malformed, all zeros, version ff); then the trace is not continued. Of a
 * later version the four fields known here are read. */
bool trace_context_parse(struct span text, struct trace_context *ret_context);

/* The bytes that a sampled context is kept as: its trace's id, its span's id. */
enum { TRACE_KEPT_SIZE = TRACE_ID_SIZE + TRACE_SPAN_ID_SIZE };
void trace_context_keep(const struct trace_context *context, unsigned char ret_bytes[TRACE_KEPT_SIZE]);
bool trace_context_kept(struct span bytes, struct trace_context *ret_context); /* false: "", none was kept */

/* Writes 55 lower-case characters and a NUL. */
void trace_context_text(const struct trace_context *context, char ret_text[TRACE_TEXT_SIZE + 1]);

/* Lower-case hex and a NUL: 2 * size + 1 bytes. */
void trace_hex(const unsigned char *bytes, size_t size, char *ret_text);

#endif
