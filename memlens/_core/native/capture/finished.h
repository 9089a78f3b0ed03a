/* Whether an object has finished its work: closed files and sockets, ended tasks and threads. */
#ifndef MEMLENS_CAPTURE_FINISHED_H
#define MEMLENS_CAPTURE_FINISHED_H

#include "capture/facts.h"
#include "capture/plan.h"

/* The test for the objects of a type. Its kind is NO_TEST where there is none. */
FinishTest find_finish_test(const Facts *facts, PyTypeObject *type);

int has_finished(const Facts *facts, PyObject *object, const FinishTest *test);

#endif
