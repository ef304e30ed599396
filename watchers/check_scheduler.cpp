#include "watchers/check_scheduler.h"
