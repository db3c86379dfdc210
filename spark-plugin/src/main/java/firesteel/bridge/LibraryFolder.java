package firesteel.bridge;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.List;

/**
 * The one folder that a set of libraries is loaded from, so that {@code $ORIGIN} finds them all. Its name contains a
 * hash of its content. It is built under a temporary name and a file lock and then renamed, so an existing folder is
 * complete, no matter which JVM of the machine built it.
 */
final class LibraryFolder {
  private static final String UNFINISHED = ".unfinished-";
  private static final long LOCK_RETRY_MILLIS = 20;
  private static final int HASH_DIGITS = 16;

  private LibraryFolder() {}

  /**
   * Returns the folder that several JVMs of one user share by default. Other users could put libraries into a temporary
   * directory, so it must belong to this user alone.
   */
  static Path privateDirectory(Path temporary, String user) {
    Path directory = temporary.resolve("firesteel-" + user.replaceAll("[^A-Za-z0-9_.-]", "_"));
    try {
      if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
        Files.createDirectories(temporary);
        Path made = Files.createTempDirectory(temporary, "firesteel-"); // mode 700
        try {
          Files.move(made, directory, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
          Files.deleteIfExists(made); // another JVM was faster; its directory is checked like any other
        }
      }
      if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
        throw unsafe(directory, "is not a directory");
      }
      String permissions =
          PosixFilePermissions.toString(
              Files.getPosixFilePermissions(directory, LinkOption.NOFOLLOW_LINKS));
      if (!permissions.endsWith("------")) {
        throw unsafe(directory, "is open to other users (" + permissions + ")");
      }
      Path probe = Files.createTempFile(directory, ".probe", null);
      try {
        if (!Files.getOwner(probe).equals(Files.getOwner(directory, LinkOption.NOFOLLOW_LINKS))) {
          throw unsafe(directory, "belongs to " + Files.getOwner(directory));
        }
      } finally {
        Files.delete(probe);
      }
      return directory;
    } catch (IOException e) {
      throw new NativeLibraryException(
          "cannot use " + directory + " for the native libraries (" + e
              + "); set spark.firesteel.native.directory to a folder that only this user can write",
          e);
    }
  }

  private static NativeLibraryException unsafe(Path directory, String problem) {
    return new NativeLibraryException(
        directory + " " + problem + ", so libraries are not loaded from it; remove it, or set "
            + "spark.firesteel.native.directory to a folder that only this user can write");
  }

  /**
   * Finds or builds the folder with these libraries.
   *
   * @param directory the parent of such folders
   * @param name the start of the folder's name
   * @param files the libraries
   * @return the complete folder
   */
  static Path assemble(Path directory, String name, List<LibraryFile> files) {
    Path folder = directory.resolve(name + "-" + hash(files));
    if (isComplete(folder, files)) {
      return folder;
    }
    try {
      Files.createDirectories(directory);
      try (FileChannel channel =
              FileChannel.open(
                  directory.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        lock(channel);
        if (!isComplete(folder, files)) {
          build(directory, folder, files);
        }
      }
    } catch (IOException e) {
      throw new NativeLibraryException(
          "cannot put the native libraries together in " + folder + ": " + e
              + "; set spark.firesteel.native.directory to a folder with room",
          e);
    }
    return folder;
  }

  /** Returns true if the folder has all files: a cleaner of old temporary files may have removed some. */
  private static boolean isComplete(Path folder, List<LibraryFile> files) {
    for (LibraryFile file : files) {
      try {
        if (Files.size(folder.resolve(file.name())) != file.size()) {
          return false;
        }
      } catch (IOException e) {
        return false; // missing, or a dangling link
      }
    }
    return true;
  }

  private static void build(Path directory, Path folder, List<LibraryFile> files)
      throws IOException {
    // Only the holder of the lock builds, so an unfinished folder was left by a process that died.
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory, UNFINISHED + "*")) {
      for (Path path : left) {
        delete(path);
      }
    }
    Path unfinished = Files.createTempDirectory(directory, UNFINISHED);
    try {
      for (LibraryFile file : files) {
        file.placeAt(unfinished.resolve(file.name()));
      }
      delete(folder);
      Files.move(unfinished, folder, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      delete(unfinished);
    }
  }

  /**
   * Waits for the lock, which closing the channel releases. A lock belongs to a whole JVM: another class loader of this
   * one may hold it.
   */
  private static void lock(FileChannel channel) throws IOException {
    while (true) {
      try {
        channel.lock();
        return;
      } catch (OverlappingFileLockException e) {
        try {
          Thread.sleep(LOCK_RETRY_MILLIS);
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          throw new IOException("interrupted while waiting for another loader", interrupted);
        }
      }
    }
  }

  private static void delete(Path path) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    Files.walkFileTree(
        path,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, IOException error)
              throws IOException {
            if (error != null) {
              throw error;
            }
            Files.delete(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  private static String hash(List<LibraryFile> files) {
    MessageDigest digest = LibraryFile.sha256();
    for (LibraryFile file : files) {
      digest.update((file.name() + "\n" + file.identity() + "\n").getBytes(StandardCharsets.UTF_8));
    }
    return LibraryFile.hex(digest).substring(0, HASH_DIGITS);
  }
}
