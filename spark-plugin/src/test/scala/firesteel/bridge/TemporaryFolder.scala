package firesteel.bridge

import java.io.IOException
import java.net.{URL, URLClassLoader}
import java.nio.file.{FileVisitResult, Files, Path, SimpleFileVisitor}
import java.nio.file.attribute.BasicFileAttributes
import java.util.jar.{JarEntry, JarOutputStream}

import scala.util.Using

/** Folders and jars on disk for tests of the loader. */
object TemporaryFolder {

  /** Runs the body with an empty folder, which is deleted afterwards. */
  def use[A](body: Path => A): A = {
    val folder = Files.createTempDirectory("firesteel-test-")
    try body(folder)
    finally delete(folder)
  }

  def write(path: Path, text: String): Path = {
    Files.createDirectories(path.getParent)
    Files.writeString(path, text)
  }

  /** A folder with the files that the loader expects of a libtorch; its libraries are text files. */
  def libtorch(folder: Path, version: String): Path = {
    write(folder.resolve("build-version"), version + "\n")
    Seq("libc10.so", "libtorch_cpu.so", "libgomp.so.1").foreach { name =>
      write(folder.resolve("lib").resolve(name), s"$name $version")
    }
    folder
  }

  /** A jar with these entries. */
  def jar(path: Path, entries: (String, String)*): URL = {
    Using.resource(new JarOutputStream(Files.newOutputStream(path))) { out =>
      entries.foreach { case (name, text) =>
        out.putNextEntry(new JarEntry(name))
        out.write(text.getBytes("UTF-8"))
        out.closeEntry()
      }
    }
    path.toUri.toURL
  }

  /** A class loader that sees these jars and nothing else. */
  def withJars[A](jars: URL*)(body: ClassLoader => A): A =
    Using.resource(new URLClassLoader(jars.toArray, null: ClassLoader))(body)

  private def delete(folder: Path): Unit = {
    Files.walkFileTree(
      folder,
      new SimpleFileVisitor[Path] {
        override def visitFile(file: Path, attributes: BasicFileAttributes): FileVisitResult = {
          Files.delete(file)
          FileVisitResult.CONTINUE
        }

        override def postVisitDirectory(visited: Path, error: IOException): FileVisitResult = {
          Files.delete(visited)
          FileVisitResult.CONTINUE
        }
      }
    )
    ()
  }
}
