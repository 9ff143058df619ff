#include "common/base/exposition.h"

#include "common/base/check.h"

#include <stdio.h>

static const char *const types[] = {"counter", "gauge", "histogram"};

void exposition_head(struct buffer *text, enum exposition_type type, const char *name, const char *help)
{
    buffer_format(text, "# HELP oriori_%s %s\n# TYPE oriori_%s %s\n", name, help, name, types[type]);
}

void exposition_sample(struct buffer *text, const char *name, const char *labels, double value)
{
    if (labels[0])
        buffer_format(text, "oriori_%s{%s} %.17g\n", name, labels, value);
    else
        buffer_format(text, "oriori_%s %.17g\n", name, value);
}

void exposition_plain(struct buffer *text, enum exposition_type type, const char *name, const char *help, double value)
{
    exposition_head(text, type, name, help);
    exposition_sample(text, name, "", value);
}

void exposition_shared(struct buffer *text, enum exposition_type type, const char *name, const char *help, double value)
{
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, types[type], name, value);
}

void exposition_buckets(struct buffer *text, const char *name, const char *labels, const struct histogram *histogram)
{
    const char *comma = labels[0] ? "," : "", *open = labels[0] ? "{" : "", *close = labels[0] ? "}" : "";
    uint64_t count = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        char bound[32] = "+Inf";
        count += histogram->counts[i];
        if (i < HISTOGRAM_BOUNDS)
            snprintf(bound, sizeof(bound), "%g", histogram_bounds[i]);
        buffer_format(text, "oriori_%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, comma, bound,
                      (unsigned long long)count);
    }
    buffer_format(text, "oriori_%s_sum%s%s%s %.17g\n", name, open, labels, close, histogram->sum);
    buffer_format(text, "oriori_%s_count%s%s%s %llu\n", name, open, labels, close, (unsigned long long)count);
}

void exposition_label(struct buffer *labels, const char *name, struct span value)
{
    buffer_format(labels, "%s%s=\"", labels->size ? "," : "", name);
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '\n') {
            buffer_add_text(labels, "\\n");
            continue;
        }
        if (value.data[i] == '"' || value.data[i] == '\\')
            buffer_add_char(labels, '\\');
        buffer_add_char(labels, value.data[i]);
    }
    buffer_add_char(labels, '"');
}
