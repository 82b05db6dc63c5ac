#pragma once

#error "a header of the user stands in front of one of the library"
