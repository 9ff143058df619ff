#include "common/base/trace_context.h"

#include <stdio.h>
#include <string.h>

static int digit(char c) /* the standard allows lower case only */
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, size_t size, unsigned char *ret_bytes)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

bool trace_context_parse(struct span text, struct trace_context *ret_context)
{
    struct trace_context context;
    unsigned char version, flags;
    const char *t = text.data;
    if (text.size < TRACE_TEXT_SIZE || t[2] != '-' || t[35] != '-' || t[52] != '-' || !read_hex(t, 1, &version) ||
        !read_hex(t + 3, TRACE_ID_SIZE, context.trace_id) || !read_hex(t + 36, TRACE_SPAN_ID_SIZE, context.span_id) ||
        !read_hex(t + 53, 1, &flags))
        return false;
    if (version == 0xff || (version == 0 && text.size != TRACE_TEXT_SIZE) ||
        (text.size > TRACE_TEXT_SIZE && t[TRACE_TEXT_SIZE] != '-'))
        return false;
    if (all_zero(context.trace_id, TRACE_ID_SIZE) || all_zero(context.span_id, TRACE_SPAN_ID_SIZE))
        return false;
    context.sampled = flags & 1;
    *ret_context = context;
    return true;
}

void trace_context_keep(const struct trace_context *context, unsigned char ret_bytes[TRACE_KEPT_SIZE])
{
    memcpy(ret_bytes, context->trace_id, TRACE_ID_SIZE);
    memcpy(ret_bytes + TRACE_ID_SIZE, context->span_id, TRACE_SPAN_ID_SIZE);
}

bool trace_context_kept(struct span bytes, struct trace_context *ret_context)
{
    if (bytes.size != TRACE_KEPT_SIZE)
        return false;
    memcpy(ret_context->trace_id, bytes.data, TRACE_ID_SIZE);
    memcpy(ret_context->span_id, bytes.data + TRACE_ID_SIZE, TRACE_SPAN_ID_SIZE);
    ret_context->sampled = true;
    return true;
}

void trace_hex(const unsigned char *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

void trace_context_text(const struct trace_context *context, char ret_text[TRACE_TEXT_SIZE + 1])
{
    char trace[2 * TRACE_ID_SIZE + 1], span[2 * TRACE_SPAN_ID_SIZE + 1];
    trace_hex(context->trace_id, TRACE_ID_SIZE, trace);
    trace_hex(context->span_id, TRACE_SPAN_ID_SIZE, span);
    snprintf(ret_text, TRACE_TEXT_SIZE + 1, "00-%s-%s-%02x", trace, span, (unsigned)context->sampled);
}
