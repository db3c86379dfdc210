package firesteel.bridge

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.scalatest.funsuite.AnyFunSuite

class LeavingSuite extends AnyFunSuite {
  private val rounds = 10

  /** Starts JVMs whose threads train, two at a time, and ends them meanwhile. */
  private def leaving(how: String, status: Int)(act: ForkedJvm => Unit): Unit =
    (1 to rounds).grouped(2).foreach { pair =>
      TemporaryFolder.use { folder =>
        val jvms = pair.map { _ =>
          ForkedJvm.startIn(Some(folder), "firesteel.bridge.LeavingMain", Seq(how))
        }
        jvms.foreach { jvm =>
          awaitTraining(jvm)
          act(jvm)
        }
        jvms.zip(pair).foreach { case (jvm, round) =>
          val outcome = jvm.finish(30)
          assert(outcome.status == status, s"round $round:\n${outcome.output}")
          assert(crashReports(folder).isEmpty, s"round $round:\n${outcome.output}")
        }
      }
    }

  private def awaitTraining(jvm: ForkedJvm): Unit = {
    val deadline = System.nanoTime() + 60e9.toLong
    while (!jvm.outputSoFar.contains("training") && jvm.process.isAlive) {
      assert(System.nanoTime() < deadline, jvm.outputSoFar)
      Thread.sleep(20)
    }
  }

  private def crashReports(folder: Path): Seq[String] =
    Using.resource(Files.list(folder))(
      _.iterator.asScala.map(_.getFileName.toString).filter(_.startsWith("hs_err")).toSeq
    )

  test("System.exit while threads train ends with its status and without a crash") {
    leaving("exit", 7)(_ => ())
  }

  test("SIGTERM while threads train ends as SIGTERM does and without a crash") {
    leaving("stay", 143)(_.process.destroy())
  }
}

/** Trains endlessly on two threads; exits by itself if requested. */
object LeavingMain {
  def main(arguments: Array[String]): Unit = {
    NativeLibrary.ensureLoaded()
    val servers = Seq.fill(2) {
      val fit = new SmallFit(Int.MaxValue)
      val server = NativeServer.open(fit.server, null)
      val worker = NativeWorker.open(fit.worker(SmallFit.portOf(server.status)))
      SmallFit.load(worker, SmallFit.rows(200))
      new Thread(() => println(worker.run())).start()
      server
    }
    while (!servers.forall(_.status.contains("\"live\""))) Thread.sleep(5)
    println("training")
    if (arguments.head == "exit") System.exit(7)
  }
}
