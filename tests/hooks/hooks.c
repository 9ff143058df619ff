#include "tests/hooks/hooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void hooks_say(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text) - 1, format, arguments);
    va_end(arguments);
    size_t length = size < (int)sizeof(text) - 1 ? (size_t)size : sizeof(text) - 2;
    text[length] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, length + 1);
    (void)ignored;
}

void hooks_refuse(const char *variable, const char *text)
{
    hooks_say("oriori: test build: %s: cannot read '%s' (tests/hooks/README.md)", variable, text);
    exit(2);
}

void hooks_install(const struct config *config, struct flow_config *flow, struct log *log, struct store *store)
{
    hooks_install_faults(config, log, store);
    hooks_install_crashes(flow);
}
