/* SPDX-License-Identifier: MIT */
/* Name, locale, keyboard, clock and the two commands: what the installer's localechooser, netcfg, tzsetup and preseed ask. */
#include "provision/plan.h"

#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LOCALE_DEFAULT   "C.UTF-8" /* needs no package */
#define TIMEZONE_DEFAULT "Etc/UTC"

/* hostname(7): letters, digits and '-', at most 63 a label, beginning with a letter or digit. */
#define HOSTNAME_MAX 63

/* A VM's name may hold what a host name cannot: those characters become '-'. */
static char *hostname_from(const char *name)
{
        char *s = xstrndup(name, HOSTNAME_MAX);

        for (char *c = s; *c; c++)
                *c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
        for (size_t n = strlen(s); n > 1 && s[n - 1] == '-';)
                s[--n] = '\0';
        return s;
}

static int read_names(struct plan *plan, struct preseed *p, const char *name, struct error *err)
{
        const char *question = "netcfg/hostname"; /* forces the name, whatever get_hostname says */
        autofree char *forced = plan_string(p, question);
        autofree char *asked = plan_string(p, "netcfg/get_hostname");
        autofree char *domain = plan_string(p, "netcfg/get_domain");
        const char *chosen = forced ? forced : asked;
        const char *dot;

        if (!forced)
                question = "netcfg/get_hostname";
        if (plan_check_characters(p, question, chosen, "-.", err) < 0 ||
            plan_check_characters(p, "netcfg/get_domain", domain, "-.", err) < 0)
                return -1;
        if (!chosen) {
                plan->hostname = hostname_from(name);
                plan->domain = domain ? take_ptr(domain) : xstrdup("");
                return 0;
        }
        /* A name with dots brings its domain along, as in netcfg. */
        dot = strchr(chosen, '.');
        plan->hostname = dot ? xstrndup(chosen, (size_t)(dot - chosen)) : xstrdup(chosen);
        plan->domain = dot ? xstrdup(dot + 1) : domain ? take_ptr(domain) : xstrdup("");
        if (!isalnum((unsigned char)plan->hostname[0]) || strlen(plan->hostname) > HOSTNAME_MAX)
                return preseed_invalid(p, preseed_find(p, NULL, question), err,
                                       "a host name begins with a letter or digit and has at most %d characters", HOSTNAME_MAX);
        return 0;
}

/* "de_DE" is meant as its UTF-8 variant, as localechooser takes it. */
static char *with_charset(const char *locale)
{
        const char *at = strchr(locale, '@');

        if (strchr(locale, '.') || streq(locale, "C") || streq(locale, "POSIX"))
                return xstrdup(locale);
        return at ? xasprintf("%.*s.UTF-8%s", (int)(at - locale), locale, at) : xasprintf("%s.UTF-8", locale);
}

static bool needs_generating(const char *locale)
{
        return !streq(locale, "C.UTF-8") && !streq(locale, "C") && !streq(locale, "POSIX");
}

static int read_locale(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *locale = plan_string(p, "debian-installer/locale");
        autofree char *language = plan_string(p, "debian-installer/language");
        autofree char *country = plan_string(p, "debian-installer/country");
        autostrv char **supported = NULL;
        const char *question = locale ? "debian-installer/locale" : "debian-installer/language";

        if (preseed_list(p, "localechooser/supported-locales", &supported, err) < 0)
                return -1;
        /* The three separate answers override the single one only where it is missing (guide, B.4.1). */
        if (!locale && language && country && !strchr(language, '_') && !streq(language, "C"))
                locale = xasprintf("%s_%s", language, country);
        else if (!locale && language)
                locale = xstrdup(language);
        if (plan_check_characters(p, question, locale, "_.@-", err) < 0)
                return -1;
        plan->locale = locale ? with_charset(locale) : xstrdup(LOCALE_DEFAULT);
        if (needs_generating(plan->locale))
                strv_add(&plan->locales, plan->locale);
        for (char **s = supported; s && *s; s++) {
                autofree char *full = with_charset(*s);

                if (plan_check_characters(p, "localechooser/supported-locales", full, "_.@-", err) < 0)
                        return -1;
                if (needs_generating(full) && !strv_contains(plan->locales, full))
                        strv_add(&plan->locales, full);
        }
        return 0;
}

/* "de", "ch(fr)": layout and variant, as keyboard-configuration's xkb-keymap has them. */
static int read_keyboard(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *keymap = plan_string(p, "keyboard-configuration/xkb-keymap");
        autofree char *layout = plan_string(p, "keyboard-configuration/layoutcode");
        autofree char *variant = plan_string(p, "keyboard-configuration/variantcode");
        autofree char *model = plan_string(p, "keyboard-configuration/modelcode");
        autofree char *options = plan_string(p, "keyboard-configuration/optionscode");
        char *paren = keymap ? strchr(keymap, '(') : NULL;

        if (plan_check_characters(p, "keyboard-configuration/xkb-keymap", keymap, "_-(),", err) < 0 ||
            plan_check_characters(p, "keyboard-configuration/layoutcode", layout, "_-,", err) < 0 ||
            plan_check_characters(p, "keyboard-configuration/variantcode", variant, "_-,", err) < 0 ||
            plan_check_characters(p, "keyboard-configuration/modelcode", model, "_-", err) < 0 ||
            plan_check_characters(p, "keyboard-configuration/optionscode", options, "_-,:", err) < 0)
                return -1;
        if (paren) {
                *paren++ = '\0';
                paren[strcspn(paren, ")")] = '\0';
        }
        plan->keymap_layout = xstrdup(layout ? layout : keymap ? keymap : "us");
        plan->keymap_variant = xstrdup(variant ? variant : paren ? paren : "");
        plan->keymap_model = xstrdup(model ? model : "pc105");
        plan->keymap_options = xstrdup(options ? options : "");
        return 0;
}

static int read_clock(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *zone = plan_string(p, "time/zone");
        autofree char *server = plan_string(p, "clock-setup/ntp-server");
        bool utc = true;

        plan->ntp = true;
        if (plan_check_characters(p, "time/zone", zone, "_/+-", err) < 0 ||
            plan_check_characters(p, "clock-setup/ntp-server", server, ".-: ", err) < 0 ||
            preseed_bool(p, "clock-setup/utc", &utc, err) < 0 || preseed_bool(p, "clock-setup/ntp", &plan->ntp, err) < 0)
                return -1;
        if (!utc)
                strv_addf(&plan->warnings, "%s:%u: 'clock-setup/utc' is not honoured: the hardware clock of a VM runs in UTC",
                          p->filename, preseed_find(p, NULL, "clock-setup/utc")->line);
        plan->timezone = zone ? take_ptr(zone) : xstrdup(TIMEZONE_DEFAULT);
        plan->ntp_server = take_ptr(server);
        return 0;
}

int plan_read_system(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err)
{
        autofree char *interface = NULL;

        if (read_names(plan, p, o->name, err) < 0 || read_locale(plan, p, err) < 0 || read_keyboard(plan, p, err) < 0 ||
            read_clock(plan, p, err) < 0)
                return -1;
        plan->early_command = plan_string(p, "preseed/early_command");
        plan->late_command = plan_string(p, "preseed/late_command");
        /* The VM has one interface: "auto" means it, a name may mean something else. */
        interface = plan_string(p, "netcfg/choose_interface");
        if (interface && !streq(interface, "auto"))
                preseed_mark(p, "netcfg/choose_interface", false);
        return 0;
}
