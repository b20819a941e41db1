/* SPDX-License-Identifier: MIT */
#include "base/digest.h"

#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <sha2.h>

#define BLOCK ((size_t)256 * 1024)

struct digest {
        SHA2_CTX context;
};

struct digest *digest_new(void)
{
        struct digest *d = xcalloc(1, sizeof(*d));

        SHA256Init(&d->context);
        return d;
}

void digest_add(struct digest *d, const void *data, size_t n)
{
        SHA256Update(&d->context, data, n);
}

char *digest_end(struct digest *d)
{
        char *text = xcalloc(1, SHA256_DIGEST_STRING_LENGTH);

        SHA256End(&d->context, text);
        free(d);
        return text;
}

char *digest_bytes(const void *data, size_t n)
{
        struct digest *d = digest_new();

        digest_add(d, data, n);
        return digest_end(d);
}

char *digest_fd(int fd, struct error *err)
{
        autofree char *block = xcalloc(1, BLOCK), *text = NULL;
        struct digest *d = digest_new();
        int errnum = 0;
        ssize_t n;

        do {
                n = read(fd, block, BLOCK);
                if (n > 0)
                        digest_add(d, block, (size_t)n);
                else if (n < 0 && errno != EINTR)
                        errnum = errno;
        } while (n != 0 && errnum == 0);
        text = digest_end(d);
        if (errnum == 0)
                return take_ptr(text);
        error_errno(err, errnum, "cannot read what its checksum is wanted of");
        return NULL;
}

bool digest_valid(const char *text)
{
        return text && strlen(text) == DIGEST_LENGTH && strspn(text, "0123456789abcdef") == DIGEST_LENGTH;
}
