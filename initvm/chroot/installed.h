/* SPDX-License-Identifier: MIT */
/*
 * What is installed in a root filesystem ("" is ours), by its dpkg database (dpkg(1), deb822(5)); nothing of it is executed.  In
 * one that mmdebstrap has unpacked, and not set up yet, the database is empty: there the packages themselves tell, by their names
 * in apt's cache.
 */
#pragma once

/* The architecture of its dpkg, and so its own. Owned; NULL when it has none. */
char *installed_architecture(const char *root);

/* The version of a package without what a rebuild adds to it ("+b1", deb-version(7)): the same sources. Owned; NULL when it is
 * not installed. */
char *installed_source_version(const char *root, const char *package);

/* The release series of a version, "1.21" of "1:1.21.22+deb12u1": within one, stable releases change nothing but faults. Owned.
 */
char *version_series(const char *version);

/* The value of a field in the text of /var/lib/dpkg/status, of a package that is installed. Of several architectures the main one
 * comes first. Owned; NULL when it is not installed, or has no such field. */
char *installed_field(const char *status, const char *package, const char *field);
