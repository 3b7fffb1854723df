/*
 * Implements fault.h. The table follows PROTOCOL.md. faults.py has the same table for Python, and a
 * test compares the two.
 */
#define _GNU_SOURCE

#include "fault.h"

#include "../common/decimal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_NUMBER UINT64_C(1000000000)
#define SHOWN_BYTES 80 /* the most bytes of an argument that an error quotes */

struct amount {
    const char *key;
    uint64_t usual, least, most;
};

struct kind {
    const char *name;
    struct amount amount; /* key is NULL if the fault takes no amount */
    bool at_redo;         /* it has a trigger */
    bool needs_system_calls;
    bool spins;
    bool needs_memory;
};

static const struct kind kinds[FAULT_COUNT] = {
    [FAULT_EXIT_BEFORE_REPLY] = {.name = "exit-before-reply", .at_redo = true},
    [FAULT_EXIT_IN_REPLY] = {.name = "exit-in-reply", .at_redo = true},
    [FAULT_EXIT_AFTER_REPLY] = {.name = "exit-after-reply", .at_redo = true},
    [FAULT_KILLED] = {.name = "killed", .at_redo = true},
    [FAULT_HANG] = {.name = "hang", .at_redo = true, .needs_system_calls = true},
    [FAULT_LATE] = {.name = "late",
                    .amount = {"ms", 50, 0, 3600000},
                    .at_redo = true,
                    .spins = true},
    [FAULT_DRIP] = {.name = "drip",
                    .amount = {"us", 1000, 0, 1000000},
                    .at_redo = true,
                    .spins = true},
    [FAULT_SHORT_REPLY] = {.name = "short-reply",
                           .amount = {"bytes", 100, 1, 8192},
                           .at_redo = true},
    [FAULT_EXTRA_PAGE] = {.name = "extra-page", .at_redo = true},
    [FAULT_CLOSE_STDOUT] = {.name = "close-stdout", .at_redo = true, .needs_system_calls = true},
    [FAULT_CLOSE_STDIN] = {.name = "close-stdin", .at_redo = true, .needs_system_calls = true},
    [FAULT_STDERR_LINES] = {.name = "stderr-lines", .at_redo = true},
    [FAULT_STDERR_BLOB] = {.name = "stderr-blob", .at_redo = true},
    [FAULT_OPEN_FILE] = {.name = "open-file", .at_redo = true},
    [FAULT_START_SLOWLY] = {.name = "start-slowly", .amount = {"ms", 200, 0, 3600000}},
    [FAULT_FAIL_TO_START] = {.name = "fail-to-start"},
    [FAULT_IGNORE_EOF] = {.name = "ignore-eof", .needs_system_calls = true},
    [FAULT_CONSUMED_AHEAD] = {.name = "consumed-ahead",
                              .amount = {"by", 2000000, 1, 1000000000},
                              .at_redo = true,
                              .needs_memory = true},
    [FAULT_CONSUMED_BEHIND] = {.name = "consumed-behind",
                               .amount = {"by", 2000000, 1, 1000000000},
                               .at_redo = true,
                               .needs_memory = true},
    [FAULT_READY_AHEAD] = {.name = "ready-ahead",
                           .amount = {"by", 2000000, 1, 1000000000},
                           .at_redo = true,
                           .needs_memory = true},
    [FAULT_READY_BEHIND] = {.name = "ready-behind",
                            .amount = {"by", 2000000, 1, 1000000000},
                            .at_redo = true,
                            .needs_memory = true},
};

/* ---- errors ---- */

/* Appends to a text in a buffer of FAULT_ERROR_BYTES, and truncates it there. */
__attribute__((format(printf, 2, 3))) static void add(char *error, const char *format, ...)
{
    size_t used = strlen(error);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error + used, FAULT_ERROR_BYTES - used, format, arguments);
    va_end(arguments);
}

static void add_names(char *error)
{
    for (int name = FAULT_NONE + 1; name < FAULT_COUNT; name++)
        add(error, "%s%s", name == FAULT_NONE + 1 ? "" : ", ", kinds[name].name);
}

static void add_argument(char *error, const char *text, size_t size)
{
    add(error, ": %.*s", (int)(size < SHOWN_BYTES ? size : SHOWN_BYTES), text);
}

/* ---- the keys of a fault ---- */

enum key { KEY_AMOUNT, KEY_AT, KEY_EVERY, KEY_P, KEY_SEED, KEY_COUNT };

static const char *key_name(const struct kind *kind, enum key key)
{
    static const char *const of_triggers[KEY_COUNT] = {
        [KEY_AT] = "at", [KEY_EVERY] = "every", [KEY_P] = "p", [KEY_SEED] = "seed"};
    if (key == KEY_AMOUNT)
        return kind->amount.key;
    return kind->at_redo ? of_triggers[key] : NULL;
}

static void add_keys(char *error, const struct kind *kind)
{
    const char *between = "";
    for (int key = 0; key < KEY_COUNT; key++) {
        const char *name = key_name(kind, key);
        if (name != NULL) {
            add(error, "%s%s", between, name);
            between = ", ";
        }
    }
}

/* Returns KEY_COUNT if there is no such key. */
static enum key find_key(const struct kind *kind, const char *text, size_t size)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        const char *name = key_name(kind, key);
        if (name != NULL && strlen(name) == size && memcmp(name, text, size) == 0)
            return key;
    }
    return KEY_COUNT;
}

static bool take_whole(const char *text, size_t size, struct amount limits, uint64_t *value)
{
    return whole_number(text, size, value) && *value >= limits.least && *value <= limits.most;
}

static struct amount limits_of(const struct kind *kind, enum key key)
{
    switch (key) {
    case KEY_AMOUNT:
        return kind->amount;
    case KEY_SEED:
        return (struct amount){.most = UINT64_MAX};
    default:
        return (struct amount){.least = 1, .most = MAX_NUMBER};
    }
}

static bool take_value(struct fault *fault, enum key key, const char *text, size_t size)
{
    struct amount limits = limits_of(&kinds[fault->name], key);
    switch (key) {
    case KEY_AMOUNT:
        return take_whole(text, size, limits, &fault->amount);
    case KEY_AT:
        fault->trigger = TRIGGER_AT;
        return take_whole(text, size, limits, &fault->number);
    case KEY_EVERY:
        fault->trigger = TRIGGER_EVERY;
        return take_whole(text, size, limits, &fault->number);
    case KEY_P:
        fault->trigger = TRIGGER_CHANCE;
        return plain_decimal(text, size, &fault->chance) && fault->chance <= 1.0;
    default:
        return take_whole(text, size, limits, &fault->random);
    }
}

static void add_what_is_valid(char *error, const struct kind *kind, enum key key)
{
    struct amount limits = limits_of(kind, key);
    add(error, " of fault %s is not ", kind->name);
    if (key == KEY_P)
        add(error, "a decimal from 0 to 1");
    else
        add(error, "a whole number from %llu to %llu", (unsigned long long)limits.least,
            (unsigned long long)limits.most);
}

/* ---- parsing ---- */

/* Takes one KEY=VALUE. `given` has a bit for each earlier key. */
static bool take_part(struct fault *fault, unsigned *given, const char *part, size_t size,
                      char *error)
{
    const struct kind *kind = &kinds[fault->name];
    const char *equals = memchr(part, '=', size);
    size_t key_size = equals == NULL ? size : (size_t)(equals - part);
    enum key key = find_key(kind, part, key_size);
    if (key == KEY_COUNT && kind->amount.key == NULL && !kind->at_redo) {
        add(error, "fault %s takes no keys", kind->name);
    } else if (key == KEY_COUNT) {
        add(error, "unknown key of fault %s, not one of ", kind->name);
        add_keys(error, kind);
    } else if (*given & 1u << key) {
        add(error, "key of fault %s given twice", kind->name);
    } else {
        const char *value = equals == NULL ? part + size : equals + 1;
        size_t value_size = (size_t)(part + size - value);
        *given |= 1u << key;
        if (take_value(fault, key, value, value_size))
            return true;
        add(error, "%.*s", (int)key_size, part);
        add_what_is_valid(error, kind, key);
        add_argument(error, value, value_size);
        return false;
    }
    add_argument(error, part, key_size);
    return false;
}

static bool check_trigger(struct fault *fault, unsigned given, const char *text, char *error)
{
    int triggers = !!(given & 1u << KEY_AT) + !!(given & 1u << KEY_EVERY) + !!(given & 1u << KEY_P);
    if (triggers > 1)
        add(error, "fault %s takes only one of at, every, p", kinds[fault->name].name);
    else if (given & 1u << KEY_SEED && !(given & 1u << KEY_P))
        add(error, "seed of fault %s needs p", kinds[fault->name].name);
    else
        return true;
    add_argument(error, text, strlen(text));
    return false;
}

static enum fault_name find_name(const char *text, size_t size)
{
    for (int name = FAULT_NONE + 1; name < FAULT_COUNT; name++)
        if (strlen(kinds[name].name) == size && memcmp(kinds[name].name, text, size) == 0)
            return name;
    return FAULT_NONE;
}

static bool take_parts(struct fault *fault, const char *text, char *error)
{
    const char *at = text + strcspn(text, ":");
    unsigned given = 0;
    while (*at != '\0') {
        const char *part = at + 1; /* after the colon or comma */
        size_t size = strcspn(part, ",");
        if (!take_part(fault, &given, part, size, error))
            return false;
        at = part + size;
    }
    return check_trigger(fault, given, text, error);
}

bool fault_parse(struct fault *fault, const char *text, char error[FAULT_ERROR_BYTES])
{
    size_t name_size = strcspn(text, ":");
    enum fault_name name = find_name(text, name_size);
    error[0] = '\0';
    if (name == FAULT_NONE) {
        add(error, "unknown fault, not one of ");
        add_names(error);
        add_argument(error, text, name_size);
        return false;
    }
    *fault = (struct fault){
        .name = name,
        .amount = kinds[name].amount.usual,
        .trigger = kinds[name].at_redo ? TRIGGER_AT : TRIGGER_NEVER,
        .number = 1,
    };
    return take_parts(fault, text, error);
}

/* ---- the trigger ---- */

/* The next number from 0 to below 1: the upper 53 bits of splitmix64. */
static double draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

bool fault_is_due(struct fault *fault)
{
    fault->redos++;
    switch (fault->trigger) {
    case TRIGGER_AT:
        return fault->redos == fault->number;
    case TRIGGER_EVERY:
        return fault->redos % fault->number == 0;
    case TRIGGER_CHANCE:
        return draw(&fault->random) < fault->chance;
    default:
        return false;
    }
}

bool fault_needs_system_calls(const struct fault *fault)
{
    return kinds[fault->name].needs_system_calls;
}

bool fault_needs_memory(const struct fault *fault)
{
    return kinds[fault->name].needs_memory;
}

bool fault_spins(const struct fault *fault)
{
    return kinds[fault->name].spins;
}
