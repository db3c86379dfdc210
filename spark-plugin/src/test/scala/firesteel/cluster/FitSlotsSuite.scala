package firesteel.cluster

import java.util.concurrent.{CountDownLatch, TimeUnit}

import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

final class FitSlotsSuite extends AnyFunSuite with Eventually {
  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(10, Seconds))

  /** A fit on three slots that holds its own until the test ends it. */
  private final class Held(slots: FitSlots, tasks: Int, inRounds: Boolean) {
    private val entered = new CountDownLatch(1)
    private val end = new CountDownLatch(1)
    private val thread = new Thread(() =>
      slots.during(tasks, 3, inRounds) {
        entered.countDown()
        end.await()
      }
    )
    thread.start()

    def runs: Boolean = entered.await(10, TimeUnit.SECONDS)

    def waits: Boolean = !entered.await(200, TimeUnit.MILLISECONDS)

    def finish(): Unit = {
      end.countDown()
      thread.join(10000)
    }
  }

  test("two fits with rounds that do not both fit run one after the other") {
    val slots = new FitSlots
    val first = new Held(slots, 2, inRounds = true)
    assert(first.runs)
    val second = new Held(slots, 2, inRounds = true)
    assert(second.waits)
    first.finish()
    assert(second.runs)
    second.finish()
  }

  test("fits with rounds that fit run side by side, and asynchronous ones always do") {
    val slots = new FitSlots
    val small = Seq.fill(3)(new Held(slots, 1, inRounds = true))
    assert(small.forall(_.runs))
    small.foreach(_.finish())
    val asynchronous = Seq.fill(3)(new Held(slots, 3, inRounds = false))
    assert(asynchronous.forall(_.runs))
    asynchronous.foreach(_.finish())
  }

  test("a fit with rounds waits for asynchronous ones, and later ones do not overtake it") {
    val slots = new FitSlots
    val first = new Held(slots, 2, inRounds = false)
    assert(first.runs)
    val second = new Held(slots, 2, inRounds = true)
    assert(second.waits)
    val third = new Held(slots, 1, inRounds = false)
    assert(third.waits)
    first.finish()
    assert(second.runs && third.runs)
    second.finish()
    third.finish()
  }

  test("a fit that is larger than the application runs alone rather than never") {
    val slots = new FitSlots
    val large = new Held(slots, 5, inRounds = true)
    assert(large.runs)
    large.finish()
  }

  test("who is interrupted while waiting, or fails, leaves the place to others") {
    val slots = new FitSlots
    val first = new Held(slots, 3, inRounds = true)
    assert(first.runs)
    @volatile var caught: Option[Throwable] = None
    val waiting = new Thread(() =>
      try slots.during(3, 3, inRounds = true)(())
      catch { case error: InterruptedException => caught = Some(error) }
    )
    waiting.start()
    eventually(assert(waiting.getState == Thread.State.WAITING))
    waiting.interrupt()
    waiting.join(10000)
    assert(caught.nonEmpty)
    first.finish()
    intercept[IllegalStateException] {
      slots.during(3, 3, inRounds = true)(throw new IllegalStateException("a failed fit"))
    }
    val last = new Held(slots, 3, inRounds = true)
    assert(last.runs)
    last.finish()
  }
}
