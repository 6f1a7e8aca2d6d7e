/* Notes what a power cut would leave: loaded before a program (LD_PRELOAD), it copies what the program syncs.
 *
 * A sync of a regular file under $WATCHED copies its content to $SHADOW/<key>; a sync of a folder writes a listing
 * of its names to $SHADOW/<key>, a line each: kind (d or f), key, name. A key is the inode and its time of birth, so
 * that a file keeps its content when it is renamed, and a number that is used again is another file. The folder
 * $WATCHED itself is named in $SHADOW/root. Files are read through the descriptor that is synced, as to open and
 * close another one would drop the program's locks (POSIX), which SQLite relies on.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int key_of(int folder, const char *name, int flags, char *key, size_t size, struct statx *found) {
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, found) != 0) return -1;
    snprintf(key, size, "%llu-%lld-%u", (unsigned long long)found->stx_ino, (long long)found->stx_btime.tv_sec,
             found->stx_btime.tv_nsec);
    return 0;
}

static FILE *begin(char *path, size_t size, const char *key) {
    snprintf(path, size, "%s/%s.%ld.part", getenv("SHADOW"), key, (long)getpid());
    return fopen(path, "we");
}

static void end(FILE *stream, const char *path, const char *key) {
    char whole[PATH_MAX];
    fclose(stream);
    snprintf(whole, sizeof whole, "%s/%s", getenv("SHADOW"), key);
    rename(path, whole);
}

static void list(int fd, const char *key) {
    char path[PATH_MAX], of_entry[64];
    struct statx found;
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = again < 0 ? NULL : fdopendir(again);
    FILE *out = folder ? begin(path, sizeof path, key) : NULL;
    struct dirent *entry;
    if (out == NULL) abort();
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (key_of(again, entry->d_name, 0, of_entry, sizeof of_entry, &found) == 0)
            fprintf(out, "%c %s %s\n", S_ISDIR(found.stx_mode) ? 'd' : 'f', of_entry, entry->d_name);
    }
    closedir(folder);
    end(out, path, key);
}

static void copy(int fd, const char *key) {
    char path[PATH_MAX], here[64], block[65536];
    off_t place = 0;
    ssize_t count;
    int other = -1;
    FILE *out = begin(path, sizeof path, key);
    if (out == NULL) abort();
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
        other = open(here, O_RDONLY | O_CLOEXEC);
    }
    while ((count = pread(other < 0 ? fd : other, block, sizeof block, place)) > 0) {
        fwrite(block, 1, (size_t)count, out);
        place += count;
    }
    if (other >= 0) close(other);
    end(out, path, key);
}

static void note(int fd) {
    const char *watched = getenv("WATCHED");
    char here[64], path[PATH_MAX], key[64], part[PATH_MAX];
    struct statx found;
    size_t length = watched ? strlen(watched) : 0;
    int before = errno;
    if (watched == NULL || getenv("SHADOW") == NULL) return;
    snprintf(here, sizeof here, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(here, path, sizeof path - 1);
    if (size > 0) {
        path[size] = '\0';
        int inside = strncmp(path, watched, length) == 0 && (path[length] == '/' || path[length] == '\0');
        if (inside && key_of(fd, "", AT_EMPTY_PATH, key, sizeof key, &found) == 0) {
            pthread_mutex_lock(&one_at_a_time);
            if (path[length] == '\0') {
                FILE *root = begin(part, sizeof part, "root");
                if (root != NULL) { fputs(key, root); end(root, part, "root"); }
            }
            if (S_ISDIR(found.stx_mode)) list(fd, key);
            else if (S_ISREG(found.stx_mode)) copy(fd, key);
            pthread_mutex_unlock(&one_at_a_time);
        }
    }
    errno = before;
}

typedef int (*of_descriptor)(int);

int fsync(int fd) {
    int done = ((of_descriptor)dlsym(RTLD_NEXT, "fsync"))(fd);
    if (done == 0) note(fd);
    return done;
}

int fdatasync(int fd) {
    int done = ((of_descriptor)dlsym(RTLD_NEXT, "fdatasync"))(fd);
    if (done == 0) note(fd);
    return done;
}

/* Nobody here syncs in these ways; if somebody begins to, the model must learn of it. */
int syncfs(int fd) { (void)fd; abort(); }
void sync(void) { abort(); }
