package firesteel.bridge

import java.nio.file.{Files, LinkOption, Path}
import java.nio.file.attribute.PosixFilePermissions
import java.util.concurrent.{Callable, Executors}

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.scalatest.funsuite.AnyFunSuite

class LibraryFolderSuite extends AnyFunSuite {

  private def packed(folder: Path, name: String, text: String): LibraryFile = {
    val jar = TemporaryFolder.jar(folder.resolve(s"$name.jar"), name -> text)
    LibraryFile.Packed.of(name, new java.net.URL(s"jar:$jar!/$name"))
  }

  private def files(folder: Path): java.util.List[LibraryFile] = {
    val linked = TemporaryFolder.write(folder.resolve("installed/libtorch.so"), "torch")
    Seq[LibraryFile](
      packed(folder, "libfiresteel.so", "firesteel"),
      LibraryFile.Linked.of("libtorch.so", linked)
    ).asJava
  }

  private def names(folder: Path): Set[String] =
    Using.resource(Files.list(folder))(_.iterator.asScala.map(_.getFileName.toString).toSet)

  test(
    "packed files are unpacked and installed ones linked to, in a folder named by what is in it"
  ) {
    TemporaryFolder.use { folder =>
      val cache = folder.resolve("cache")
      val made = LibraryFolder.assemble(cache, "firesteel-1", files(folder))
      assert(made.getFileName.toString.matches("firesteel-1-[0-9a-f]{16}"))
      assert(names(made) == Set("libfiresteel.so", "libtorch.so"))
      assert(Files.readString(made.resolve("libfiresteel.so")) == "firesteel")
      assert(Files.isSymbolicLink(made.resolve("libtorch.so")))
      assert(names(cache) == Set(made.getFileName.toString, ".lock"))
      val other = Seq(packed(folder, "libfiresteel.so", "another")).asJava
      assert(LibraryFolder.assemble(cache, "firesteel-1", other) != made)
    }
  }

  test("a complete folder is used again as it is") {
    TemporaryFolder.use { folder =>
      val (cache, wanted) = (folder.resolve("cache"), files(folder))
      val made = LibraryFolder.assemble(cache, "a", wanted)
      val before = Files.readAttributes(made, "unix:ino,lastModifiedTime")
      assert(LibraryFolder.assemble(cache, "a", wanted) == made)
      assert(Files.readAttributes(made, "unix:ino,lastModifiedTime") == before)
    }
  }

  test("a folder that lost a file, or has a short one, is made again") {
    TemporaryFolder.use { folder =>
      val (cache, wanted) = (folder.resolve("cache"), files(folder))
      val made = LibraryFolder.assemble(cache, "a", wanted)
      Files.delete(made.resolve("libfiresteel.so"))
      LibraryFolder.assemble(cache, "a", wanted)
      assert(Files.readString(made.resolve("libfiresteel.so")) == "firesteel")
      Files.writeString(made.resolve("libfiresteel.so"), "fire")
      LibraryFolder.assemble(cache, "a", wanted)
      assert(Files.readString(made.resolve("libfiresteel.so")) == "firesteel")
    }
  }

  test("what a killed process left unfinished is removed") {
    TemporaryFolder.use { folder =>
      val cache = folder.resolve("cache")
      TemporaryFolder.write(cache.resolve(".unfinished-123/libtorch.so"), "half")
      val made = LibraryFolder.assemble(cache, "a", files(folder))
      assert(names(cache) == Set(made.getFileName.toString, ".lock"))
    }
  }

  test("a library that is not what the jar's index says is refused and leaves nothing") {
    TemporaryFolder.use { folder =>
      val good = packed(folder, "libc10.so", "content").asInstanceOf[LibraryFile.Packed]
      val bad = new LibraryFile.Packed(good.name, good.source, good.size, "0" * 64)
      val error = intercept[NativeLibraryException](
        LibraryFolder.assemble(folder.resolve("cache"), "a", Seq[LibraryFile](bad).asJava)
      )
      assert(error.getMessage.contains("is damaged: expected 7 bytes with SHA-256 0000"))
      assert(names(folder.resolve("cache")) == Set(".lock"))
    }
  }

  test("a folder that cannot be written is refused with the key that moves it") {
    TemporaryFolder.use { folder =>
      val occupied = TemporaryFolder.write(folder.resolve("file"), "no folder")
      val error = intercept[NativeLibraryException](
        LibraryFolder.assemble(occupied.resolve("cache"), "a", files(folder))
      )
      assert(error.getMessage.contains("spark.firesteel.native.directory"))
    }
  }

  test("many threads at once get one complete folder") {
    TemporaryFolder.use { folder =>
      val wanted = files(folder)
      val pool = Executors.newFixedThreadPool(8)
      try {
        val task: Callable[Path] = () => {
          val made = LibraryFolder.assemble(folder.resolve("cache"), "a", wanted)
          assert(names(made) == Set("libfiresteel.so", "libtorch.so"))
          made
        }
        val made = pool.invokeAll(Seq.fill(40)(task).asJava).asScala.map(_.get)
        assert(made.distinct.size == 1)
      } finally pool.shutdown()
    }
  }

  test("several JVMs at once get one complete folder") {
    TemporaryFolder.use { folder =>
      files(folder)
      val processes = Seq.fill(3)(ForkedJvm.start("firesteel.bridge.AssembleMain", folder.toString))
      val outcomes = processes.map(_.finish(60))
      assert(outcomes.map(_.status) == Seq(0, 0, 0), outcomes.map(_.output).mkString("\n"))
      assert(outcomes.map(_.output.trim).distinct.size == 1)
      assert(names(folder.resolve("cache")).size == 2)
    }
  }

  test("the shared folder in the temporary directory belongs to its user alone") {
    TemporaryFolder.use { temporary =>
      val made = LibraryFolder.privateDirectory(temporary, "jane/../doe")
      assert(made == temporary.resolve("firesteel-jane_.._doe"))
      assert(PosixFilePermissions.toString(Files.getPosixFilePermissions(made)) == "rwx------")
      assert(LibraryFolder.privateDirectory(temporary, "jane/../doe") == made)
      assert(names(temporary) == Set("firesteel-jane_.._doe"))
    }
  }

  test("a shared folder that others may write, or that is a link, is refused") {
    TemporaryFolder.use { temporary =>
      val open = Files.createDirectory(temporary.resolve("firesteel-open"))
      Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"))
      val error =
        intercept[NativeLibraryException](LibraryFolder.privateDirectory(temporary, "open"))
      assert(error.getMessage.contains("is open to other users (rwxrwxrwx)"))
      val elsewhere = Files.createDirectory(temporary.resolve("elsewhere"))
      val link = Files.createSymbolicLink(temporary.resolve("firesteel-link"), elsewhere)
      assert(Files.exists(link, LinkOption.NOFOLLOW_LINKS))
      val linked =
        intercept[NativeLibraryException](LibraryFolder.privateDirectory(temporary, "link"))
      assert(linked.getMessage.contains("is not a directory"))
    }
  }
}

/** Puts the folder of the suite's files together in a JVM of its own, and prints where it is. */
object AssembleMain {
  def main(arguments: Array[String]): Unit = {
    val folder = Path.of(arguments.head)
    val jar = folder.resolve("libfiresteel.so.jar").toUri.toURL
    val files = Seq[LibraryFile](
      LibraryFile.Packed.of("libfiresteel.so", new java.net.URL(s"jar:$jar!/libfiresteel.so")),
      LibraryFile.Linked.of("libtorch.so", folder.resolve("installed/libtorch.so"))
    )
    println(LibraryFolder.assemble(folder.resolve("cache"), "a", files.asJava))
  }
}
