package firesteel.bridge;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A library for a {@link LibraryFolder}. */
sealed interface LibraryFile permits LibraryFile.Linked, LibraryFile.Packed {
  /** The file's name in the folder, which is its SONAME. */
  String name();

  /** The file's size in bytes. */
  long size();

  /** A text that differs between files of the same name. */
  String identity();

  /** Puts the file at a path that does not exist yet. */
  void placeAt(Path target) throws IOException;

  /**
   * A file of this machine, to which a link is made.
   *
   * @param identity the path, size and modification time: hashing hundreds of megabytes would be slow
   */
  record Linked(String name, Path source, long size, String identity) implements LibraryFile {
    static Linked of(String name, Path source) throws IOException {
      Path real = source.toRealPath();
      long size = Files.size(real);
      String identity = real + " " + size + " " + Files.getLastModifiedTime(real).toMillis();
      return new Linked(name, real, size, identity);
    }

    @Override
    public void placeAt(Path target) throws IOException {
      Files.createSymbolicLink(target, source);
    }
  }

  /**
   * A file inside a jar, which is unpacked and checked.
   *
   * @param identity the SHA-256 of its content in hexadecimal digits
   */
  record Packed(String name, URL source, long size, String identity) implements LibraryFile {
    /** Reads the resource once to know its size and hash. */
    static Packed of(String name, URL source) throws IOException {
      try (DigestInputStream in = new DigestInputStream(open(source), sha256())) {
        long size = in.transferTo(OutputStream.nullOutputStream());
        return new Packed(name, source, size, hex(in.getMessageDigest()));
      }
    }

    @Override
    public void placeAt(Path target) throws IOException {
      try (DigestInputStream in = new DigestInputStream(open(source), sha256())) {
        long copied = Files.copy(in, target);
        String hash = hex(in.getMessageDigest());
        if (copied != size || !hash.equals(identity)) {
          throw new NativeLibraryException(
              source + " is damaged: expected " + size + " bytes with SHA-256 " + identity + ", found "
                  + copied + " with " + hash);
        }
      }
    }

    /**
     * Opens a resource without the JVM's cache of open jars, which would read a jar that has been replaced
     * meanwhile.
     */
    private static InputStream open(URL source) throws IOException {
      URLConnection connection = source.openConnection();
      connection.setUseCaches(false);
      return connection.getInputStream();
    }
  }

  /** A fresh SHA-256. */
  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new NativeLibraryException("this JVM has no SHA-256", e);
    }
  }

  /** The digest in hexadecimal digits. */
  static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest());
  }
}
