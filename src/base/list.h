/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/list.h - intrusive doubly linked list.
 *
 * A struct alk_link lives inside the element; a zeroed link is in no list. All
 * calls are O(1). Removing twice and adding an element that is in a list already
 * are harmless: the list is idempotent, as work queues need it.
 */
#ifndef ALK_BASE_LIST_H
#define ALK_BASE_LIST_H

#include "alknet/types.h"

struct alk_link {
    struct alk_link *prev, *next;
};

struct alk_list {
    struct alk_link head;
};

static inline void alk_list_init(struct alk_list *l)
{
    l->head.prev = &l->head;
    l->head.next = &l->head;
}
static inline bool alk_list_is_empty(const struct alk_list *l)
{
    return l->head.next == &l->head;
}
static inline bool alk_link_is_in(const struct alk_link *e)
{
    return e->next != NULL;
}
static inline void alk_list_remove(struct alk_link *e)
{
    if (e->next != NULL) {
        e->prev->next = e->next;
        e->next->prev = e->prev;
        e->prev = NULL;
        e->next = NULL;
    }
}
/* No effect when e is in a list. */
static inline void alk_list_append(struct alk_list *l, struct alk_link *e)
{
    if (e->next == NULL) {
        e->prev = l->head.prev;
        e->next = &l->head;
        l->head.prev->next = e;
        l->head.prev = e;
    }
}
static inline void alk_list_prepend(struct alk_list *l, struct alk_link *e)
{
    if (e->next == NULL) {
        e->next = l->head.next;
        e->prev = &l->head;
        l->head.next->prev = e;
        l->head.next = e;
    }
}
/* First element or NULL; not removed. */
static inline struct alk_link *alk_list_first(const struct alk_list *l)
{
    return alk_list_is_empty(l) ? NULL : l->head.next;
}
/* First element, removed, or NULL. */
static inline struct alk_link *alk_list_pop(struct alk_list *l)
{
    struct alk_link *e = alk_list_first(l);
    if (e != NULL) {
        alk_list_remove(e);
    }
    return e;
}
/* The element after e, or NULL at the end. */
static inline struct alk_link *alk_list_next(const struct alk_list *l, const struct alk_link *e)
{
    return e->next == &l->head ? NULL : e->next;
}

/* The struct that holds a member; ptr may point to const. */
#define ALK_CONTAINER(ptr, T, member) ((T *)((uintptr_t)(ptr)-offsetof(T, member)))

#endif
