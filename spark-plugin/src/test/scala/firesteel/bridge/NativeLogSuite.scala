package firesteel.bridge

import java.net.Socket
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicInteger

import scala.jdk.CollectionConverters.CollectionHasAsScala
import scala.util.Using

import org.apache.logging.log4j.{Level, LogManager}
import org.apache.logging.log4j.core.{LogEvent, Logger}
import org.apache.logging.log4j.core.appender.{AbstractAppender, AppenderLoggingException}
import org.apache.logging.log4j.core.config.{Configurator, Property}
import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

class NativeLogSuite extends AnyFunSuite with BeforeAndAfterAll {
  private val root = "firesteel.native"

  override protected def beforeAll(): Unit = NativeLibrary.ensureLoaded()

  /** Runs a block with an appender for the events of native code at this level. */
  private def logging[A](level: Level, receive: LogEvent => Unit)(body: => A): A = {
    val appender = new AbstractAppender("native", null, null, false, Property.EMPTY_ARRAY) {
      override def append(event: LogEvent): Unit = receive(event)
    }
    appender.start()
    val logger = LogManager.getLogger(root).asInstanceOf[Logger]
    val before = logger.getLevel
    logger.addAppender(appender)
    Configurator.setLevel(root, level)
    try body
    finally {
      logger.removeAppender(appender)
      Configurator.setLevel(root, before)
    }
  }

  /** Opens the server of a fit and returns the events of the block at this level. */
  private def eventsOf(level: Level)(
      body: (SmallFit, NativeServer, () => Seq[LogEvent]) => Unit
  ): Seq[LogEvent] = {
    val events = new ConcurrentLinkedQueue[LogEvent]
    def ofLevel = events.asScala.toSeq.filter(_.getLevel == level)
    logging(level, event => { val _ = events.add(event.toImmutable) }) {
      val fit = new SmallFit(1)
      Using.resource(NativeServer.open(fit.server, null))(body(fit, _, () => ofLevel))
    }
    ofLevel
  }

  private def train(fit: SmallFit, server: NativeServer): Unit =
    Using.resource(NativeWorker.open(fit.worker(SmallFit.portOf(server.status)))) { worker =>
      SmallFit.load(worker, SmallFit.rows(200))
      val _ = worker.run(7)
    }

  test("an event of a worker reaches slf4j with its level, its logger, and its task in the MDC") {
    var context = Map.empty[String, String]
    val events = eventsOf(Level.INFO) { (fit, server, _) =>
      context = Map("fit" -> fit.fit, "stage" -> "7", "partition" -> "0", "attempt" -> "0")
      train(fit, server)
    }
    val event = events.find(_.getLoggerName == "firesteel.native.train.task").get
    assert(event.getMessage.getFormattedMessage == "trains 200 rows of partition 0 workers=1")
    val found = event.getContextData.toMap
    context.foreach { case (key, value) => assert(found.get(key) == value, key) }
    assert(!org.slf4j.MDC.getCopyOfContextMap.containsKey("partition"), "the MDC is restored")
  }

  test("an event of a thread that Java did not start reaches slf4j with the thread's name") {
    var fitId = ""
    val events = eventsOf(Level.DEBUG) { (fit, server, heard) =>
      fitId = fit.fit
      Using.resource(new Socket("127.0.0.1", SmallFit.portOf(server.status))) { socket =>
        socket.getOutputStream.write("GET / HTTP/1.1\r\n\r\n".getBytes)
        val deadline = System.nanoTime() + 20e9.toLong
        while (!heard().exists(_.getLoggerName.endsWith("handshake"))) {
          assert(System.nanoTime() < deadline, "the event does not arrive")
          Thread.sleep(10)
        }
      }
    }
    val event = events.find(_.getLoggerName == "firesteel.native.ps.net.handshake").get
    assert(event.getMessage.getFormattedMessage.contains("the peer is not a Firesteel"))
    assert(event.getContextData.getValue[String]("fit") == fitId)
    assert(event.getThreadName == s"firesteel-ps-${fitId.take(8)}")
  }

  test("a level that slf4j turns off is off in native code, from the next fit on") {
    assert(NativeLog.level() < 4)
    val events = eventsOf(Level.DEBUG)((fit, server, _) => train(fit, server))
    assert(events.exists(_.getMessage.getFormattedMessage.contains("has its lease")))
    assert(NativeLog.level() < 4)
    // The next fit tells native code. The level that rises during it shows what native code has been told.
    val fit = new SmallFit(1)
    Using.resource(NativeServer.open(fit.server, null)) { server =>
      val port = SmallFit.portOf(server.status)
      Using.resource(NativeWorker.open(fit.worker(port))) { worker =>
        SmallFit.load(worker, SmallFit.rows(200))
        val late = new ConcurrentLinkedQueue[LogEvent]
        logging(Level.DEBUG, event => { val _ = late.add(event.toImmutable) })(worker.run(7))
        assert(!late.asScala.exists(_.getLevel == Level.DEBUG))
      }
    }
  }

  test("a log that fails does not fail the worker") {
    // Log4j passes on this exception only.
    val calls = new AtomicInteger
    def fail(event: LogEvent): Unit = {
      val _ = calls.incrementAndGet()
      throw new AppenderLoggingException("the disk is full")
    }
    logging(Level.INFO, fail) {
      val fit = new SmallFit(1)
      Using.resource(NativeServer.open(fit.server, null)) { server =>
        train(fit, server)
        assert(server.weights().nonEmpty)
      }
    }
    assert(calls.get > 0)
  }
}
