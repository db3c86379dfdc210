package firesteel.bridge;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A libtorch that was found.
 *
 * @param origin where, for people
 * @param version its version without the part after a plus, such as {@code 2.13.0}
 * @param files its libraries for the CPU
 * @param cuda its CUDA library, if it has one
 */
record Libtorch(String origin, String version, List<LibraryFile> files, Optional<Path> cuda) {}
