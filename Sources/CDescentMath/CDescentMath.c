#include "CDescentMath.h"
