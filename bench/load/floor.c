/*
 * The floor: the least that a WebSocket server can do for each delivery, a send(2) of bytes that are there already.
 *
 * It checks nothing, knows one request head (the generator's), keeps no history and drops what a subscriber has no room
 * for. What came from the publisher in one read leaves in one write to each subscriber. No server that does its work is as
 * cheap; how far above it one is, is what the tables show.
 *
 * Paths: /subscribe, /publish (to all of those), /user (first message: its number), /direct (to the number that the
 * message begins with), /echo. Prints its port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define READ_BYTES 65536
#define EVENTS 1024
#define DESCRIPTORS 131072
#define USERS 1000000
#define RESPONSE                                                                                 \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: " NONCE_ACCEPTED "\r\n\r\n"

enum role { STRANGER, SUBSCRIBER, PUBLISHER, USER, DIRECT, ECHO };

typedef struct {
    enum role role;
    uint32_t place; /* among the subscribers; a user's number */
    bytes unread, unsent;
} client;

static client *clients[DESCRIPTORS];
static int subscribers[DESCRIPTORS], users[USERS];
static uint32_t subscriber_count;
static int set;
static bytes arrived, outgoing;

static void leave(int descriptor) {
    client *self = clients[descriptor];
    if (self->role == SUBSCRIBER) {
        int last = subscribers[--subscriber_count];
        subscribers[self->place] = last;
        clients[last]->place = self->place;
    }
    if (self->role == USER && users[self->place] == descriptor) users[self->place] = 0;
    bytes_release(&self->unread);
    bytes_release(&self->unsent);
    free(self);
    clients[descriptor] = NULL;
    close(descriptor);
}

static void watch(int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    epoll_ctl(set, EPOLL_CTL_MOD, descriptor, &event);
}

static void write_to(int descriptor, const char *data, size_t length) {
    client *self = clients[descriptor];
    if (self->unsent.length) return; /* no room: it misses this one */
    ssize_t count = send(descriptor, data, length, MSG_NOSIGNAL);
    if (count == (ssize_t)length || (count < 0 && errno != EAGAIN)) return; /* a broken one is found when it is read */
    if (count <= 0) return;
    bytes_append(&self->unsent, data + count, length - (size_t)count);
    watch(descriptor, EPOLLIN | EPOLLOUT);
}

static void finish_write(int descriptor) {
    client *self = clients[descriptor];
    ssize_t count = send(descriptor, self->unsent.data, self->unsent.length, MSG_NOSIGNAL);
    if (count < 0) return;
    self->unsent.length -= (size_t)count;
    memmove(self->unsent.data, self->unsent.data + count, self->unsent.length);
    if (!self->unsent.length) watch(descriptor, EPOLLIN);
}

static void say(int descriptor, const char *text) {
    outgoing.length = 0;
    put_frame(&outgoing, TEXT, text, strlen(text), NULL);
    write_to(descriptor, outgoing.data, outgoing.length);
    outgoing.length = 0;
}

static bool begins(const char *head, const char *path) {
    size_t length = strlen(path);
    return !strncmp(head + 4, path, length) && head[4 + length] == ' ';
}

/* Takes a request head; returns its length, 0 where it has not come whole. */
static size_t upgrade(int descriptor, const char *data, size_t length) {
    static const struct { const char *path; enum role role; } roles[] = {
        {"/subscribe", SUBSCRIBER}, {"/publish", PUBLISHER}, {"/user", USER}, {"/direct", DIRECT}, {"/echo", ECHO}};
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    client *self = clients[descriptor];
    if (!end) return 0;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (begins(data, roles[i].path) && memmem(data, length, NONCE, sizeof NONCE - 1)) self->role = roles[i].role;
    if (self->role == STRANGER) {
        shutdown(descriptor, SHUT_RDWR);
        return length;
    }
    write_to(descriptor, RESPONSE, sizeof RESPONSE - 1);
    if (self->role == SUBSCRIBER) {
        self->place = subscriber_count;
        subscribers[subscriber_count++] = descriptor;
        say(descriptor, "subscribed");
    }
    return (size_t)(end + 4 - data);
}

static void take(int descriptor, const char *message, size_t length) {
    client *self = clients[descriptor];
    uint32_t number = self->role == USER || self->role == DIRECT ? (uint32_t)strtoul(message, NULL, 10) % USERS : 0;
    if (self->role == USER) {
        self->place = number;
        users[number] = descriptor;
        say(descriptor, "subscribed");
    } else if (self->role == DIRECT && users[number]) {
        outgoing.length = 0;
        put_frame(&outgoing, TEXT, message, length, NULL);
        write_to(users[number], outgoing.data, outgoing.length);
        outgoing.length = 0;
    } else {
        put_frame(&outgoing, TEXT, message, length, NULL);
    }
}

static void deliver(int descriptor) {
    enum role role = clients[descriptor]->role;
    if (role == ECHO) write_to(descriptor, outgoing.data, outgoing.length);
    for (uint32_t i = 0; role == PUBLISHER && i < subscriber_count; i++)
        write_to(subscribers[i], outgoing.data, outgoing.length);
    outgoing.length = 0;
}

static void receive(int descriptor) {
    client *self = clients[descriptor];
    arrived.length = 0;
    bytes_append(&arrived, self->unread.data, self->unread.length);
    ssize_t count = recv(descriptor, bytes_room(&arrived, READ_BYTES + 1), READ_BYTES, 0);
    if (count <= 0) {
        if (!count || errno != EAGAIN) leave(descriptor);
        return;
    }
    arrived.length += (size_t)count;
    size_t used = self->role == STRANGER ? upgrade(descriptor, arrived.data, arrived.length) : 0;
    frame at;
    while (self->role != STRANGER && read_header(arrived.data + used, arrived.length - used, &at) &&
           at.length <= arrived.length - used - at.header) {
        char *payload = arrived.data + used + at.header;
        apply_mask(payload, at.length, at.mask);
        used += at.header + at.length;
        if (at.opcode == TEXT) take(descriptor, payload, at.length);
    }
    self->unread.length = 0;
    if (used < arrived.length) bytes_append(&self->unread, arrived.data + used, arrived.length - used);
    if (outgoing.length) deliver(descriptor);
}

static void welcome(int listener) {
    int descriptor, one = 1;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= DESCRIPTORS) fail("more than %d connections", DESCRIPTORS);
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        clients[descriptor] = calloc(1, sizeof(client));
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event);
    }
}

static int listen_somewhere(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) fail("listen: %s", strerror(errno));
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(void) {
    static struct epoll_event events[EVENTS];
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    set = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_somewhere();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(set, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) welcome(listener);
            else {
                if (events[i].events & EPOLLOUT && clients[descriptor]) finish_write(descriptor);
                if (events[i].events & ~(uint32_t)EPOLLOUT && clients[descriptor]) receive(descriptor);
            }
        }
    }
}
