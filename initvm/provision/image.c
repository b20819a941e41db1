/* SPDX-License-Identifier: MIT */
/* Image descriptions: read strictly, so that a typing error in a user's file is named and not half obeyed. */
#include "provision/image.h"

#include "base/paths.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* A smaller disk holds no system with a compiler. */
#define IMAGE_SIZE_MIN (1ull << 30)

static void mirror_done(struct image_mirror *m)
{
        free(m->uri);
        free(m->suite);
        strv_free(m->components);
}

void image_free(struct image *image)
{
        if (!image)
                return;
        free(image->name);
        free(image->path);
        free(image->description);
        free(image->suite);
        free(image->version);
        free(image->architecture);
        mirror_done(&image->main);
        mirror_done(&image->updates);
        mirror_done(&image->security);
        mirror_done(&image->backports);
        free(image->kernel);
        free(image->keyring);
        free(image->keyring_package);
        free(image->installer_package);
        free(image->installer_kernel);
        free(image->installer_initrd);
        strv_free(image->packages);
        free(image);
}

/* Reads one field; the names end up in configuration lines, so neither is empty or holds blanks. */
static int word(const char *field, const char *value, struct error *err)
{
        if (*value == '\0' || value[strcspn(value, " \t\r\n\"'")] != '\0')
                return error_set(err, ERR_INVALID, "'%s' must be one word, not '%s'", field, value);
        return 0;
}

static int words(const char *field, struct json_object *array, char ***ret, struct error *err)
{
        autostrv char **v = json_to_strv(array);

        for (char **s = v; s && *s; s++)
                if (word(field, *s, err) < 0)
                        return -1;
        *ret = take_ptr(v);
        return 0;
}

static int mirror_read(struct image_mirror *m, const char *field, struct json_object *o, struct error *err)
{
        const char *uri = NULL, *suite = NULL;
        struct json_object *components = NULL;
        const struct json_field fields[] = {
                {"uri", JSON_FIELD_STRING, JSON_REQUIRED, &uri},
                {"suite", JSON_FIELD_STRING, JSON_REQUIRED, &suite},
                {"components", JSON_FIELD_STRINGS, JSON_REQUIRED, &components},
        };

        if (!o)
                return 0;
        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || word("uri", uri, err) < 0 || word("suite", suite, err) < 0 ||
            words("components", components, &m->components, err) < 0)
                return error_prefix(err, "'%s'", field);
        if (!str_has_prefix(uri, "http://") && !str_has_prefix(uri, "https://"))
                return error_set(err, ERR_INVALID, "'%s': 'uri' must begin with http:// or https://, not '%s'", field, uri);
        m->uri = xstrdup(uri);
        m->suite = xstrdup(suite);
        return 0;
}

static int mirrors_read(struct image *image, struct json_object *o, struct error *err)
{
        struct json_object *main = NULL, *updates = NULL, *security = NULL, *backports = NULL;
        const struct json_field fields[] = {
                {"main", JSON_FIELD_OBJECT, JSON_REQUIRED, &main},
                {"updates", JSON_FIELD_OBJECT, 0, &updates},
                {"security", JSON_FIELD_OBJECT, 0, &security},
                {"backports", JSON_FIELD_OBJECT, 0, &backports},
        };

        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || mirror_read(&image->main, "main", main, err) < 0 ||
            mirror_read(&image->updates, "updates", updates, err) < 0 ||
            mirror_read(&image->security, "security", security, err) < 0 ||
            mirror_read(&image->backports, "backports", backports, err) < 0)
                return error_prefix(err, "'mirrors'");
        return 0;
}

static int keyring_read(struct image *image, struct json_object *o, struct error *err)
{
        const char *file = NULL, *package = NULL;
        const struct json_field fields[] = {
                {"file", JSON_FIELD_STRING, JSON_REQUIRED, &file},
                {"package", JSON_FIELD_STRING, JSON_REQUIRED, &package},
        };

        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || word("file", file, err) < 0 || word("package", package, err) < 0)
                return error_prefix(err, "'keyring'");
        if (file[0] != '/')
                return error_set(err, ERR_INVALID, "'keyring': 'file' must be a full path, not '%s'", file);
        image->keyring = xstrdup(file);
        image->keyring_package = xstrdup(package);
        return 0;
}

static int file_read_name(const char *field, const char *value, char **ret, struct error *err)
{
        if (value && value[0] != '/')
                return error_set(err, ERR_INVALID, "'%s' must be a full path, not '%s'", field, value);
        *ret = value ? xstrdup(value) : NULL;
        return 0;
}

/* Where the installer comes from: a package of the archive, or two files of this host. */
static int installer_read(struct image *image, struct json_object *o, struct error *err)
{
        const char *package = NULL, *kernel = NULL, *initrd = NULL;
        const struct json_field fields[] = {
                {"package", JSON_FIELD_STRING, 0, &package},
                {"kernel", JSON_FIELD_STRING, 0, &kernel},
                {"initrd", JSON_FIELD_STRING, 0, &initrd},
        };

        if (!o)
                return 0;
        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || (package && word("package", package, err) < 0) ||
            file_read_name("kernel", kernel, &image->installer_kernel, err) < 0 ||
            file_read_name("initrd", initrd, &image->installer_initrd, err) < 0)
                return error_prefix(err, "'installer'");
        if (!kernel != !initrd || !package == !kernel)
                return error_set(err, ERR_INVALID, "'installer' must have either 'package', or both 'kernel' and 'initrd'");
        image->installer_package = package ? xstrdup(package) : NULL;
        return 0;
}

static int image_read(struct image *image, struct json_object *o, struct error *err)
{
        const char *description = NULL, *suite = NULL, *version = NULL, *architecture = NULL, *kernel = NULL;
        const char *size = "64G", *swap = "0";
        struct json_object *mirrors = NULL, *keyring = NULL, *installer = NULL, *packages = NULL;
        const struct json_field fields[] = {
                {"description", JSON_FIELD_STRING, JSON_REQUIRED, &description},
                {"suite", JSON_FIELD_STRING, JSON_REQUIRED, &suite},
                {"version", JSON_FIELD_STRING, JSON_REQUIRED, &version},
                {"architecture", JSON_FIELD_STRING, JSON_REQUIRED, &architecture},
                {"mirrors", JSON_FIELD_OBJECT, JSON_REQUIRED, &mirrors},
                {"keyring", JSON_FIELD_OBJECT, JSON_REQUIRED, &keyring},
                {"kernel", JSON_FIELD_STRING, JSON_REQUIRED, &kernel},
                {"packages", JSON_FIELD_STRINGS, JSON_REQUIRED, &packages},
                {"installer", JSON_FIELD_OBJECT, 0, &installer},
                {"size", JSON_FIELD_STRING, 0, &size},
                {"swap", JSON_FIELD_STRING, 0, &swap},
        };

        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || word("suite", suite, err) < 0 ||
            word("version", version, err) < 0 || word("architecture", architecture, err) < 0 || word("kernel", kernel, err) < 0 ||
            words("packages", packages, &image->packages, err) < 0 || mirrors_read(image, mirrors, err) < 0 ||
            keyring_read(image, keyring, err) < 0 || installer_read(image, installer, err) < 0)
                return -1;
        if (parse_size(size, &image->size) < 0 || image->size < IMAGE_SIZE_MIN)
                return error_set(err, ERR_INVALID, "'size' must be a size of at least 1G, not '%s'", size);
        if (parse_size(swap, &image->swap) < 0)
                return error_set(err, ERR_INVALID, "'swap' must be a size such as 1G, not '%s'", swap);
        image->description = xstrdup(description);
        image->suite = xstrdup(suite);
        image->version = xstrdup(version);
        image->architecture = xstrdup(architecture);
        image->kernel = xstrdup(kernel);
        return 0;
}

struct image *image_parse(const char *name, const char *path, struct json_object *o, struct error *err)
{
        autoimage struct image *image = xcalloc(1, sizeof(*image));

        image->name = xstrdup(name);
        image->path = xstrdup(path);
        if (image_read(image, o, err) < 0) {
                error_prefix(err, "image '%s'", path);
                return NULL;
        }
        return take_ptr(image);
}

/* "/a/debian-13-amd64.json" -> "debian-13-amd64". */
static char *name_of(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *base = slash ? slash + 1 : path;

        return xstrndup(base, strlen(base) - (str_has_suffix(base, ".json") ? strlen(".json") : 0));
}

struct image *image_load(const char *path, struct error *err)
{
        autofree char *name = name_of(path);
        autojson struct json_object *o = json_parse_file(path, err);

        return o ? image_parse(name, path, o, err) : NULL;
}

static struct image *list_get(const struct image_list *list, const char *name)
{
        for (size_t i = 0; i < list->n; i++)
                if (streq(list->images[i]->name, name))
                        return list->images[i];
        return NULL;
}

static int is_description(const struct dirent *d)
{
        return d->d_name[0] != '.' && str_has_suffix(d->d_name, ".json");
}

static int list_add_folder(struct image_list *list, const char *folder, struct error *err)
{
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, is_description, alphasort);

        if (n < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, errno, "reading '%s'", folder);
        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
                autofree char *name = name_of(path);
                struct error why = ERROR_INIT;
                struct image *image;

                free(entries[i]);
                if (list_get(list, name))
                        continue;
                image = image_load(path, &why);
                if (!image) {
                        strv_add(&list->warnings, why.message);
                        continue;
                }
                list->images = xrealloc(list->images, list->n + 1, sizeof(*list->images));
                list->images[list->n++] = image;
        }
        free(entries);
        return 0;
}

int image_list_load(struct image_list *list, const struct paths *paths, struct error *err)
{
        autofree char *own = xasprintf("%s/images", paths->config);

        *list = (struct image_list){0};
        if (list_add_folder(list, own, err) < 0 || list_add_folder(list, paths->images, err) < 0) {
                image_list_done(list);
                return -1;
        }
        return 0;
}

void image_list_done(struct image_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                image_free(list->images[i]);
        free(list->images);
        strv_free(list->warnings);
        *list = (struct image_list){0};
}

struct image *image_list_find(const struct image_list *list, const char *name, struct error *err)
{
        struct image *image = list_get(list, name);
        autostrv char **names = NULL;
        autofree char *all = NULL, *file = xasprintf("/%s.json'", name);

        if (image)
                return image;
        for (char **w = list->warnings; w && *w; w++)
                if (strstr(*w, file)) { /* it is there, and cannot be read */
                        error_set(err, ERR_INVALID, "%s", *w);
                        return NULL;
                }
        for (size_t i = 0; i < list->n; i++)
                strv_add(&names, list->images[i]->name);
        all = strv_join(names, ", ");
        error_set(err, ERR_NOT_FOUND, "there is no image '%s'; there are: %s", name, *all ? all : "none");
        return NULL;
}

struct image *image_list_default(const struct image_list *list)
{
        struct image *newest = NULL;
        uint64_t newest_version = 0;

        for (size_t i = 0; i < list->n; i++) {
                struct image *image = list->images[i];
                uint64_t version;

                /* The first of several with one version wins: it is the user's. */
                if (parse_u64(image->version, 1, UINT32_MAX, &version) == 0 && version > newest_version &&
                    streq(image->architecture, image_host_architecture())) {
                        newest = image;
                        newest_version = version;
                }
        }
        return newest;
}

const char *image_host_architecture(void)
{
        static const char *const names[][2] = {
                {"x86_64", "amd64"},    {"aarch64", "arm64"},   {"i686", "i386"},   {"armv7l", "armhf"},
                {"ppc64le", "ppc64el"}, {"riscv64", "riscv64"}, {"s390x", "s390x"},
        };
        static struct utsname u;

        if (uname(&u) < 0)
                return "unknown";
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(names[i][0], u.machine))
                        return names[i][1];
        return u.machine;
}
