/* SPDX-License-Identifier: MIT */
/* initvm cache: the chroots that are kept on the host, for the next VM that is to have the same. */
#include "cli/chroot_cache.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* As much of a key as people need. */
#define KEY_SHOWN 12

/* What prune removes when it is not told: a month is longer than between most updates of a release. */
#define UNUSED_DAYS_DEFAULT 30
#define SIZE_DEFAULT        ((uint64_t)10 << 30)

#define DAY_S ((uint64_t)24 * 3600)

static const char *input(struct json_object *entry, const char *name)
{
        return json_get_string(json_get(entry, "inputs"), name, NULL);
}

static char *packages_of(struct json_object *entry)
{
        struct json_object *packages = json_get(json_get(entry, "inputs"), "packages");
        size_t n = json_object_is_type(packages, json_type_array) ? json_object_array_length(packages) : 0;
        autostrv char **names = NULL;

        for (size_t i = 0; i < n; i++) {
                struct json_object *name = json_object_array_get_idx(packages, i);

                if (json_object_is_type(name, json_type_string))
                        strv_add(&names, json_object_get_string(name));
        }
        return strv_join(names, ",");
}

static uint64_t total_size(struct json_object *entries)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < json_object_array_length(entries); i++)
                bytes += json_get_u64(json_object_array_get_idx(entries, i), "size", 0);
        return bytes;
}

static char *ago(uint64_t seconds)
{
        uint64_t now = (uint64_t)time(NULL);
        autofree char *duration = text_duration((now - MIN(now, seconds)) * 1000);

        return xasprintf("%s ago", duration);
}

/* ---- list */

static void print_table(struct json_object *entries)
{
        static const char *const headings[] = {"KEY", "ARCH", "SUITE", "VARIANT", "PACKAGES", "SIZE", "USED", NULL};
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;

        table_init(&t, headings);
        for (size_t i = 0; i < json_object_array_length(entries); i++) {
                struct json_object *entry = json_object_array_get_idx(entries, i);
                autofree char *key = xstrndup(json_get_string(entry, "key", ""), KEY_SHOWN), *packages = packages_of(entry);
                autofree char *used = ago(json_get_u64(entry, "used", 0));

                table_add(&t, key, NULL);
                table_add(&t, input(entry, "architecture"), NULL);
                table_add(&t, input(entry, "suite"), NULL);
                table_add(&t, input(entry, "variant"), NULL);
                table_add(&t, packages, NULL);
                table_add(&t, format_size(json_get_u64(entry, "size", 0)), NULL);
                table_add(&t, used, NULL);
        }
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static int run_list(const struct invocation *inv, struct error *err)
{
        autocache struct chroot_cache cache = {0};
        autojson struct json_object *entries = NULL;

        if (chroot_cache_open(&cache, NULL, err) < 0)
                return -1;
        entries = chroot_cache_list(&cache);
        for (size_t i = 0; inv->json && i < json_object_array_length(entries); i++)
                printf("%s\n", json_line(json_object_array_get_idx(entries, i)));
        if (inv->json)
                return 0;
        if (json_object_array_length(entries) > 0)
                print_table(entries);
        else
                fprintf(stderr, "nothing is kept in '%s' yet; 'initvm chroot create' does that\n", cache.folder);
        return 0;
}

/* ---- prune */

struct limits {
        uint64_t before; /* what was used last before this time, in seconds since 1970, goes */
        uint64_t size;   /* of what was used last so much stays, and the rest goes */
};

static void read_limits(const struct invocation *inv, struct limits *ret)
{
        const struct arguments *a = &inv->arguments;
        bool by_age = arguments_flag(a, "unused"), by_size = arguments_flag(a, "size"), neither = !by_age && !by_size;
        uint64_t days = arguments_number(a, "unused", UNUSED_DAYS_DEFAULT), now = (uint64_t)time(NULL);

        *ret = (struct limits){.size = UINT64_MAX};
        if (by_age || neither)
                ret->before = now - MIN(now, days * DAY_S);
        if (by_size || neither)
                ret->size = arguments_number(a, "size", SIZE_DEFAULT);
        if (arguments_flag(a, "all"))
                *ret = (struct limits){.before = UINT64_MAX};
}

static void print_removed(const struct invocation *inv, struct json_object *removed, uint64_t freed, struct json_object *left)
{
        autojson struct json_object *result = json_new();

        if (!inv->json) {
                printf("removed %zu, freed %s; %zu remain, %s\n", json_object_array_length(removed), format_size(freed),
                       json_object_array_length(left), format_size(total_size(left)));
                return;
        }
        json_add(result, "removed", json_object_get(removed));
        json_add_u64(result, "freed", freed);
        json_add_u64(result, "remaining", json_object_array_length(left));
        json_add_u64(result, "size", total_size(left));
        printf("%s\n", json_line(result));
}

static int run_prune(const struct invocation *inv, struct error *err)
{
        autocache struct chroot_cache cache = {0};
        autojson struct json_object *entries = NULL, *removed = json_object_new_array(), *left = NULL;
        uint64_t kept = 0, freed = 0;
        struct limits limits;

        read_limits(inv, &limits);
        if (chroot_cache_open(&cache, NULL, err) < 0)
                return -1;
        entries = chroot_cache_list(&cache); /* the one that was used last comes first */
        for (size_t i = 0; i < json_object_array_length(entries); i++) {
                struct json_object *entry = json_object_array_get_idx(entries, i);
                uint64_t size = json_get_u64(entry, "size", 0);
                const char *key = json_get_string(entry, "key", "");

                kept += size;
                if (json_get(entry, "inputs") && json_get_u64(entry, "used", 0) >= limits.before && kept <= limits.size)
                        continue;
                if (chroot_cache_remove(&cache, key, err) < 0)
                        return -1;
                json_object_array_add(removed, json_object_new_string(key));
                freed += size;
        }
        left = chroot_cache_list(&cache);
        print_removed(inv, removed, freed, left);
        return 0;
}

/* ---- the commands */

static const struct option_spec list_options[] = {OPTION_JSON_HELP, {0}};

static const struct option_spec prune_options[] = {
        {.name = "unused",
         .letter = 'u',
         .type = OPTION_NUMBER,
         .argument = "DAYS",
         .help = "remove what was not used for so many days (default: 30, when --size is not given)"},
        {.name = "size",
         .letter = 's',
         .type = OPTION_SIZE,
         .argument = "SIZE",
         .help = "then the least recently used, until the rest is no larger (default: 10G, when --unused is not given)"},
        {.name = "all", .type = OPTION_FLAG, .help = "remove everything"},
        OPTION_JSON_HELP,
        {0},
};

static const struct command command_cache_list = {
        .name = "list",
        .alias = "ls",
        .parent = &command_cache,
        .summary = "list what is kept",
        .options = list_options,
        .description = "The one that was used last comes first. With --json, one object a line, with everything that went in.",
        .run = run_list,
};

static const struct command command_cache_prune = {
        .name = "prune",
        .parent = &command_cache,
        .summary = "remove what is not used any more",
        .options = prune_options,
        .description =
                "Also removes what is broken, and what an interrupted command has left. Chroots that were made of it stay.",
        .examples = "initvm cache prune\n"
                    "initvm cache prune --unused 7 --size 2G\n"
                    "initvm cache prune --all",
        .run = run_prune,
};

static const struct command *const subcommands[] = {
        &command_cache_list,
        &command_cache_prune,
        NULL,
};

const struct command command_cache = {
        .name = "cache",
        .group = GROUP_INSIDE,
        .summary = "look after the chroots that are kept on the host",
        .words = "list|prune",
        .subcommands = subcommands,
        .description =
                "'chroot create' keeps a copy of what it has made, and takes it when the same is asked for again, in any VM "
                "of this user: same suite, architecture, variant, packages, sources and keyring, and nothing new on the "
                "mirror. An older copy goes when a newer one comes.",
        .examples = "initvm cache list\n"
                    "initvm cache prune --size 2G",
};
