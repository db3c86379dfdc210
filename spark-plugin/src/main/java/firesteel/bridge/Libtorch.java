package firesteel.bridge;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * An installed libtorch.
 *
 * @param origin a description of its place
 * @param version the version without the part after a plus, such as {@code 2.13.0}
 * @param files the libraries for the CPU
 * @param cuda the CUDA library, if it has one
 */
record Libtorch(String origin, String version, List<LibraryFile> files, Optional<Path> cuda) {}
