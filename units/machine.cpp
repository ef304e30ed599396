#include "units/machine.h"
